// Looks at a page as it is laid out, and lists what a person could not read, reach or press.
const [isTouched] = arguments;
const problems = [];
const page = document.documentElement;

const name = (element) => {
  const text = (element.textContent || element.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
  const id = element.id ? "#" + element.id : "";
  return `${element.tagName.toLowerCase()}${id}.${element.getAttribute("class") || ""} "${text}"`;
};
const isShown = (element) =>
  element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && element.getClientRects().length > 0;

// -- Colours: what lies under a text, layer by layer.
const colour = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.e-]+/g).map(Number);
  return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
};
const over = ([r, g, b, a], under) => [r, g, b].map((channel, at) => channel * a + under[at] * (1 - a));
const ground = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.backgroundImage !== "none") problems.push(`${name(at)} has a picture behind it`);
    if (style.opacity !== "1") problems.push(`${name(at)} is translucent`);
    layers.unshift(colour(style.backgroundColor));
  }
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  return layers.reduce((under, layer) => over(layer, under), canvas);
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => {
  const [dark, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (bright + 0.05) / (dark + 0.05);
};

// -- Text: legible, large enough, nothing cut off.
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const holders = new Set();
let height = 0;
while (texts.nextNode()) {
  const node = texts.currentNode;
  const holder = node.parentElement;
  if (!node.data.trim() || !isShown(holder)) continue;
  holders.add(holder);
  const range = document.createRange();
  range.selectNodeContents(node);
  height += range.getBoundingClientRect().height;
}
for (const element of document.querySelectorAll("input:not([type=hidden]), textarea")) {
  if (isShown(element)) holders.add(element);
}
for (const holder of holders) {
  const style = getComputedStyle(holder);
  const behind = ground(holder);
  const contrast = ratio(over(colour(style.color), behind), behind);
  if (contrast < 4.5) problems.push(`${name(holder)} has a contrast of ${contrast.toFixed(2)}`);
  if (parseFloat(style.fontSize) < 11) problems.push(`${name(holder)} is ${style.fontSize} small`);
  const isAside = holder.closest(".quiet, .fine, .state, small, header, footer, .x, .y, pre");
  const isRunning = holder.closest("p, dd, li, blockquote") && !isAside;
  if (isTouched && isRunning && parseFloat(style.fontSize) < 16) problems.push(`${name(holder)} is ${style.fontSize}`);
  const box = holder.closest("pre, blockquote, p, dd, h1, h2, div, span") || holder;
  const clips = ["hidden", "clip"].includes(getComputedStyle(box).overflowX);
  if (clips && box.scrollWidth > box.clientWidth + 1) problems.push(`${name(box)} is cut off`);
}
if (height < 60) problems.push(`there are ${height} px of text`);
const size = (element) => parseFloat(getComputedStyle(element).fontSize);
if (size(document.body) < 16) problems.push(`text is ${size(document.body)} px`);

// -- What is pressed and typed into.
for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select, summary")) {
  if (!isShown(element)) continue;
  const box = element.getBoundingClientRect();
  if (isTouched && (box.height < 43.5 || box.width < 43.5)) {
    problems.push(`${name(element)} is ${box.width.toFixed(0)} × ${box.height.toFixed(0)} px: too small for a thumb`);
  }
  // Phones zoom into a field whose text is smaller.
  if (element.matches("input, textarea, select") && size(element) < 16) problems.push(`${name(element)} is ${size(element)} px`);
  if (element.matches("input, textarea")) {
    const edge = ratio(colour(getComputedStyle(element).borderTopColor).slice(0, 3), ground(element.parentElement));
    if (edge < 3) problems.push(`the edge of ${name(element)} has a contrast of ${edge.toFixed(2)}`);
  }
}

// -- The whole.
if (page.scrollWidth > page.clientWidth) problems.push(`it is ${page.scrollWidth} px wide in ${page.clientWidth}`);
// One script, inline, and only where a passkey is used.
const allowed = document.querySelector("form[data-passkey]") ? 1 : 0;
if (document.images.length > 0 || document.scripts.length !== allowed || [...document.scripts].some((script) => script.src)) {
  problems.push("it has images or scripts");
}
for (const { name } of performance.getEntriesByType("resource")) problems.push(`it loaded ${name}`);
if (!document.title) problems.push("it has no title");
if (page.lang !== "en") problems.push("it names no language");
return [...new Set(problems)];
