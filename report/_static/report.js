// paper is white: pages are printed in light colours
addEventListener("beforeprint", () => {
  const { theme } = document.documentElement.dataset;
  document.documentElement.dataset.theme = "light";
  addEventListener("afterprint", () => { document.documentElement.dataset.theme = theme; }, { once: true });
});

// a menu that lies over the page, on a phone, closes when a jump inside the page is made
addEventListener("click", event => {
  const link = event.target.closest("dialog a[href^='#']");
  if (!link) return;
  event.preventDefault();  // closing the menu moves the page under a jump that has begun
  link.closest("dialog").close();
  requestAnimationFrame(() => {
    location.hash = link.hash;
    document.getElementById(decodeURIComponent(link.hash.slice(1))).scrollIntoView();
  });
});
