// Names are text, never markup.
const text = (s) => {
  const span = document.createElement("span");
  span.textContent = s;
  return span.innerHTML;
};

// A share in percent, with one decimal where it is not whole; halves are rounded up.
const percent = (share) => Math.floor(1000 * share + 0.5) / 10 + " %";

// A table: its heads, then rows of texts.
const table = (heads, rows) => {
  const cell = (tag, s, strong) => "<" + tag + " style='text-align:left;vertical-align:top;"
    + "padding:1px 12px 1px 0" + (strong ? ";font-weight:bold" : "") + "'>" + text(s)
    + "</" + tag + ">";
  const line = (cells) => "<tr>" + cells.join("") + "</tr>";
  const head = line(heads.map(s => cell("th", s, true)));
  const body = rows.map(row => line(row.map(s => cell("td", s, false))));
  return "<table><thead>" + head + "</thead><tbody>" + body.join("") + "</tbody></table>";
};
