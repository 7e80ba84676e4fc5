// the theme listens to the first button of each menu only, which it hides on a phone
addEventListener("DOMContentLoaded", () => {
  for (const menu of ["primary", "secondary"]) {
    const [first, ...others] = document.querySelectorAll(`.${menu}-toggle`);
    others.forEach(other => other.addEventListener("click", () => first.click()));
  }
});
