// A click in the spectrogram moves the player there.
document.getElementById(player).currentTime = cb_obj.x;
