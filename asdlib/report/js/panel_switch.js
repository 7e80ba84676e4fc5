// Another button: its sound and spectrogram, at the same place.
const audio = document.getElementById(player);
const place = audio.currentTime;
const playing = !audio.paused;
shown.forEach((image, i) => { image.visible = i == cb_obj.active; });
audio.preload = "auto";
audio.src = sources[cb_obj.active];
audio.currentTime = place;
if (playing) audio.play();
