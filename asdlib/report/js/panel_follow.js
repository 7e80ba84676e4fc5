// The playhead follows the player: every frame while it plays, and after every jump.
const audio = document.getElementById(player);
const move = () => { playhead.location = audio.currentTime; };
const follow = () => { move(); if (!audio.paused) requestAnimationFrame(follow); };
audio.addEventListener("play", follow);
for (const event of ["seeking", "timeupdate", "loadedmetadata"])
  audio.addEventListener(event, move);
