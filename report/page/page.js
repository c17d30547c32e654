"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const common = {
  font: { family: "system-ui, 'Segoe UI', Roboto, Arial, sans-serif", size: 13, color: "#1c2733" },
  margin: { l: 60, r: 20, t: 30, b: 50 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "#ffffff",
  legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
  modebar: { bgcolor: "rgba(255,255,255,0.85)", color: "#9aa7b4", activecolor: "#0072b2" }, hoverlabel: { align: "left", namelength: -1 },
};
const config = {
  responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"],
  toImageButtonOptions: { format: "svg" },
};
const plots = [...document.querySelectorAll(".plot")];

const menusOf = (name) => [...document.querySelectorAll(`select[data-figure="${name}"]`)];
// the last menu runs fastest
const placeOf = (name) => menusOf(name).reduce((sum, menu) => sum * menu.options.length + Number(menu.value), 0);

function draw(plot) {
  const view = figures[plot.dataset.figure].views[placeOf(plot.dataset.figure)];
  return Plotly.react(plot, view.data, { ...common, ...view.layout }, config);
}

for (const plot of plots) {
  draw(plot);
  menusOf(plot.dataset.figure).forEach((menu) => menu.addEventListener("change", () => draw(plot)));
}
for (const shown of document.querySelectorAll(".pictures")) {
  const show = () => [...shown.children].forEach((image, k) => { image.hidden = k !== placeOf(shown.dataset.figure); });
  menusOf(shown.dataset.figure).forEach((menu) => menu.addEventListener("change", show));
  show();
}
for (const film of document.querySelectorAll(".film")) {
  const images = [...film.querySelectorAll("img")], button = film.querySelector("button"), slider = film.querySelector("input");
  const show = () => images.forEach((image, k) => { image.hidden = k !== Number(slider.value); });
  let timer = null;
  const play = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(() => { slider.value = (Number(slider.value) + 1) % images.length; show(); }, Number(film.dataset.ms)) : null;
    button.textContent = on ? "pause" : "play";
  };
  button.addEventListener("click", () => play(timer === null));
  slider.addEventListener("input", () => { play(false); show(); });
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
// a plot is as wide as the screen; paper is not
addEventListener("beforeprint", () => plots.forEach((plot) => Plotly.relayout(plot, { width: 640, autosize: false })));
addEventListener("afterprint", () => plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true })));
document.documentElement.dataset.ready = String(plots.length);
