// Another machine in the menu: its clips, its threshold and slider, its players.
const value = own[menu.value];
const [low, high] = ends[menu.value];
chosen.group = menu.value;
points.change.emit();
slider.setv({start: low, end: high, step: (high - low) / 200, value: value});
for (const part of document.querySelectorAll("[data-machine]"))
  part.hidden = part.dataset.machine != menu.value;
