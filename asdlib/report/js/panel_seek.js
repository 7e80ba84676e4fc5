// A click in the spectrogram moves the player there.
const audio = document.getElementById(player);
audio.preload = "auto";  // pages do not load sounds that are not asked for
audio.currentTime = cb_obj.x;
