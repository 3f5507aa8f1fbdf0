"use strict";
// A listening test. What was answered is kept in the browser after every page, so that a closed tab goes on.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PARAMS = new URLSearchParams(location.search);
// who comes with another name on the same device begins a test of their own
const KNOWN = PARAMS.get("rater") || PARAMS.get("PROLIFIC_PID") || PARAMS.get("workerId");
const STORE = `listening:${DATA.test}:${KNOWN || ""}`;
const PAIR = DATA.kind === "cmos" || DATA.kind === "ab";
const MUSHRA = DATA.kind === "mushra";
const PREVIEW = PARAMS.get("assignmentId") === "ASSIGNMENT_ID_NOT_AVAILABLE"; // a platform's worker looks before accepting
const stage = document.getElementById("stage");
const ICON = { play: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4v16l13-8z"/></svg>',
               stop: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 6h12v12H6z"/></svg>' };
const SILENT = "Prefer not to say";
const ABOUT = [
  ["age", "Age", ["Under 18", "18-29", "30-44", "45-59", "60 or over", SILENT]],
  ["gender", "Gender", ["Woman", "Man", "Another", SILENT]],
  ["language", "First language", null],
  ["hearing", "Hearing", ["No known hearing loss", "Some hearing loss", SILENT]],
  ["device", "You are listening with", ["Headphones", "Earphones", "Loudspeakers"]],
];
const FREE = ["gender", "language"]; // may be left empty

// -- what is remembered -------------------------------------------------------------------------------------------
let state = null;
let keys = {}; // key -> what it does on this page
const memory = {};

function load() {
  try { return JSON.parse(localStorage.getItem(STORE)); } catch { return memory[STORE] || null; }
}
function save() {
  try { localStorage.setItem(STORE, JSON.stringify(state)); } catch { memory[STORE] = state; }
}
function forget() {
  try { localStorage.removeItem(STORE); } catch { delete memory[STORE]; }
  state = null;
  begin();
}

/** Position of the order that a listener gets: the one in the address, else one that follows from the name. */
function numberOf(rater) {
  const given = parseInt(PARAMS.get("listener"), 10);
  if (given >= 1) return (given - 1) % DATA.orders.length;
  let hash = 2166136261;
  for (const letter of rater) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619) >>> 0;
  return hash % DATA.orders.length;
}
const order = () => DATA.orders[state.listener];
const turned = (list, by) => list.slice(by).concat(list.slice(0, by));

// -- pieces of the page -------------------------------------------------------------------------------------------
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "html") made.innerHTML = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}
function show(card, done, count) {
  silence();
  stage.replaceChildren(card);
  document.getElementById("count").textContent = count;
  const bar = document.getElementById("bar");
  bar.setAttribute("aria-valuenow", Math.round(100 * done));
  bar.firstChild.style.width = `${100 * done}%`;
  scrollTo(0, 0);
  card.querySelector("h1").focus({ preventScroll: true });
}
const heading = (text) => el("h1", { tabindex: -1 }, text);

// -- sound --------------------------------------------------------------------------------------------------------
// Web Audio and not <audio>: versions change places to the sample, and a FLAC without a seek table can be started anywhere.
let context = null;
let playing = null;

function decoded(id) {
  context = context || new AudioContext();
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}
function silence() {
  if (playing) playing.stop();
  playing = null;
}
/** A sound with one button. With `go_on` another one's place is taken over, as one compares in MUSHRA. */
function sound(id, button, changed, go_on = false) {
  const me = { id, button, plays: 0, heard: false, node: null, began: 0, buffer: null };
  const ready = decoded(id).then((buffer) => { me.buffer = buffer; }, () => changed("This browser cannot play the sounds: please try another one."));
  me.place = () => Math.max(0, context.currentTime - me.began);
  me.stop = () => {
    if (me.node) me.node.stop();
    me.node = null;
    draw();
  };
  me.toggle = async () => {
    if (me.node) return me.stop();
    const place = go_on && playing && playing.node ? playing.place() : 0;
    silence();
    playing = me;
    me.plays += 1;
    await Promise.all([ready, context.resume()]);
    if (playing !== me || me.node || !me.buffer) return;
    const from = place < me.buffer.duration - 0.1 ? place : 0;
    const node = me.node = new AudioBufferSourceNode(context, { buffer: me.buffer });
    node.connect(context.destination);
    node.onended = () => {
      if (me.node !== node) return;
      me.node = null;
      heard();
    };
    me.began = context.currentTime - from;
    node.start(0, from);
    if (go_on) heard();
    tick();
  };
  const heard = () => { me.heard = true; draw(me.node ? 0 : 1); changed(); };
  const tick = () => {
    if (!me.node) return;
    draw(me.place() / me.buffer.duration);
    requestAnimationFrame(tick);
  };
  const draw = (done = 0) => {
    button.setAttribute("aria-pressed", String(Boolean(me.node)));
    const icon = button.querySelector(".icon");
    if (icon.dataset.on !== String(Boolean(me.node))) icon.innerHTML = me.node ? ICON.stop : ICON.play;
    icon.dataset.on = String(Boolean(me.node));
    button.style.setProperty("--done", Math.min(1, done));
  };
  button.addEventListener("click", me.toggle);
  draw();
  return me;
}
const player = (name, key) => el("button", { class: "play", type: "button", "aria-label": name, "aria-keyshortcuts": key },
  el("span", { class: "icon" }));
const chip = (name, key, label) => el("button", { class: "chip", type: "button", "aria-label": name, "aria-keyshortcuts": key },
  el("span", { class: "icon" }), el("span", {}, label));

// -- the start ----------------------------------------------------------------------------------------------------
const HOW = {
  mos: "Each page plays one sound. Listen to it to the end and choose one of five answers. There is no right or wrong: your first impression counts.",
  cmos: "Each page plays two sounds, A and B. Listen to both to the end, as often as you like, and say how B compares with A.",
  ab: "Each page plays two sounds, A and B. Listen to both to the end, as often as you like, and say which you prefer. If you really cannot tell, choose no preference.",
  mushra: "Each page has a reference and several versions of it, in random order; one of them is the reference itself and should get 100. Play them as often as you like, and set each slider to say how close the version comes to the reference.",
};
function field([name, label, choices], changed) {
  const shared = { name, onchange: changed, oninput: changed, autocomplete: "off" };
  const input = choices
    ? el("select", shared, el("option", { value: "" }, "Please choose"), ...choices.map((c) => el("option", {}, c)))
    : el("input", { ...shared, type: "text", maxlength: 60 });
  return el("label", {}, label, FREE.includes(name) ? el("small", {}, " (optional)") : null, input);
}
function begin() {
  const form = el("form", { class: "about", onsubmit: (event) => { event.preventDefault(); start(); } });
  const button = el("button", { class: "main", type: "button", onclick: () => start() }, "Begin");
  const consent = el("input", { type: "checkbox", id: "consent", onchange: () => check() });
  const answer = (name) => (form.elements[name] ? form.elements[name].value.trim() : "");
  const missing = () => [KNOWN ? null : "rater", ...ABOUT.map((a) => a[0])].filter((n) => n && !FREE.includes(n) && !answer(n));
  const check = () => { button.disabled = PREVIEW || missing().length > 0 || !consent.checked; };
  if (!KNOWN) form.append(el("label", {}, "Your name or code ", el("small", {}, "(any word that only you use)"),
    el("input", { name: "rater", type: "text", maxlength: 60, oninput: check, autocomplete: "off" })));
  form.append(...ABOUT.map((about) => field(about, check)));
  function start() {
    if (button.disabled) return;
    const rater = KNOWN || answer("rater");
    const about = Object.fromEntries(ABOUT.map((a) => [a[0], answer(a[0])]));
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const session = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
    state = { rater, about, session, listener: numberOf(rater), at: 0, rows: [], sent: false };
    save();
    next();
  }
  const volume = chip("Play a sound to set the volume", "", "Play a sound");
  const first = DATA.orders[0][0][0];
  sound(DATA.trials[first].reference || DATA.trials[first].stimuli[0], volume, () => {});
  keys = {};
  show(el("section", { class: "card" }, heading(DATA.title),
    PREVIEW ? el("p", { class: "note" }, "This is a preview: accept the task to begin.") : null,
    DATA.instructions ? el("p", {}, DATA.instructions) : null,
    el("p", {}, HOW[DATA.kind]),
    el("ul", {}, el("li", {}, "Use headphones in a quiet place if you can."),
      el("li", {}, "Now and then you are told what to choose. Please do so: it shows that you are with us."),
      el("li", {}, `There are ${DATA.orders[0].length} pages. You may close this tab and come back later on the same device.`)),
    el("h2", {}, "Set the volume"),
    el("p", { class: "soft" }, "Choose a comfortable volume now and leave it as it is until the end."), volume,
    el("h2", {}, "About you"), form,
    el("label", { class: "tick", for: "consent" }, consent,
      el("span", {}, "I take part of my own free will. My answers may be stored and evaluated under the name or code above.")),
    el("div", { class: "foot" }, el("span"), button)), 0, "");
  check();
}

// -- the questions ------------------------------------------------------------------------------------------------
function next() {
  if (state.at >= order().length) return finish();
  const [id, by] = order()[state.at];
  const trial = DATA.trials[id];
  const began = Date.now();
  const hint = el("p", { class: "soft", "aria-live": "polite" });
  const button = el("button", { class: "main", type: "button", onclick: advance }, "Next");
  const stimuli = turned(trial.stimuli, by);
  keys = {};
  const part = (MUSHRA ? sliders : choices)(trial, stimuli, changed);
  function changed(problem) {
    const open = problem || part.open();
    button.disabled = Boolean(open);
    hint.textContent = open || "";
  }
  function advance() {
    if (button.disabled) return;
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    for (const row of part.rows()) state.rows.push([state.at + 1, id, ...row, seconds]);
    state.at += 1;
    save();
    next();
  }
  keys.enter = advance;
  const check = !trial.training && trial.text.startsWith("This is a check");
  show(el("section", { class: "card trial" },
    trial.training ? el("p", { class: "middle" }, el("span", { class: "badge" }, "Practice: does not count")) : null,
    heading(DATA.question),
    trial.text ? el("p", { class: check ? "note" : "said" }, trial.text) : null,
    ...part.nodes,
    el("div", { class: "foot" }, hint, button)), state.at / order().length, `${state.at + 1} of ${order().length}`);
  changed();
}

/** MOS, CMOS, A/B: players and a row of answers. */
function choices(trial, stimuli, changed) {
  const names = PAIR ? ["A", "B"] : ["Play"];
  const sounds = stimuli.map((id, n) => {
    const key = PAIR ? names[n].toLowerCase() : " ";
    const button = player(PAIR ? `Play ${names[n]}` : "Play the sound", PAIR ? names[n] : "Space");
    const made = sound(id, button, changed);
    keys[key] = made.toggle;
    return made;
  });
  const players = el("div", { class: "players" }, ...sounds.map((one, n) => el("div", { class: "player" }, one.button,
    PAIR ? el("b", {}, names[n]) : el("kbd", {}, "Space"))));
  let value = null;
  const scale = el("fieldset", { class: "scale", style: `--n:${DATA.values.length}`, "aria-label": DATA.question });
  DATA.values.forEach((one, n) => {
    const input = el("input", { type: "radio", name: "value", value: one, onchange: () => { value = one; changed(); } });
    const label = DATA.kind === "cmos" ? `B is ${DATA.labels[n].toLowerCase()}` : DATA.labels[n];
    scale.append(el("label", {}, input, DATA.kind === "mos" ? el("b", {}, String(one)) : null,
      el("span", {}, label), DATA.kind === "mos" ? null : el("kbd", { "aria-hidden": "true" }, String(n + 1))));
    keys[String(n + 1)] = () => { input.focus(); input.click(); };
  });
  return {
    nodes: [players, scale],
    open: () => !sounds.every((one) => one.heard) ? (PAIR ? "Listen to A and B to the end." : "Listen to the end.")
      : value === null ? "Choose an answer." : "",
    rows: () => [[1, stimuli.join("|"), value, sounds.reduce((sum, one) => sum + one.plays, 0)]],
  };
}

/** MUSHRA: a reference and a slider for each version. */
function sliders(trial, stimuli, changed) {
  const open = sound(trial.reference, chip("Play the reference", "R", "Reference"), changed, true);
  keys.r = open.toggle;
  const rows = stimuli.map((id, n) => {
    const name = `Version ${n + 1}`;
    const output = el("output", {}, "–");
    const slider = el("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": `Rate ${name.toLowerCase()}`,
      "aria-valuetext": "not rated yet" });
    const one = sound(id, chip(`Play ${name.toLowerCase()}`, String(n + 1), String(n + 1)), changed, true);
    const made = { ...one, one, value: null };
    const row = el("div", { class: "row untouched", role: "group", "aria-label": name }, one.button, el("div", { class: "slide" }, slider), output);
    const touch = () => {
      made.value = Number(slider.value);
      output.textContent = slider.value;
      slider.setAttribute("aria-valuetext", `${slider.value}, ${DATA.labels[Math.min(4, Math.floor(made.value / 20))]}`);
      row.classList.remove("untouched");
      changed();
    };
    for (const event of ["input", "change", "pointerup"]) slider.addEventListener(event, touch);
    if (n < 10) keys[String((n + 1) % 10)] = () => { slider.focus(); one.toggle(); };
    made.row = row;
    return made;
  });
  keys[" "] = () => playing && playing.toggle();
  const bands = el("div", { class: "row", "aria-hidden": "true" }, el("span"),
    el("div", { class: "bands" }, ...DATA.labels.map((label) => el("span", {}, label))), el("span"));
  const help = el("p", { class: "soft keys" }, ...[["R", "reference"], ["1", "… plays a version"], ["← →", "moves its slider"], ["Space", "stops"]]
    .map(([key, what]) => el("span", {}, el("kbd", {}, key), ` ${what}`)));
  return {
    nodes: [el("div", { class: "reference" }, open.button), el("div", { class: "rows" }, bands, ...rows.map((r) => r.row)), help],
    open: () => !open.heard ? "Play the reference." : !rows.every((r) => r.one.heard) ? "Play every version."
      : !rows.every((r) => r.value !== null) ? "Set every slider." : "",
    rows: () => rows.map((r, n) => [n + 1, r.id, r.value, r.one.plays]),
  };
}

// -- the end ------------------------------------------------------------------------------------------------------
const COLUMNS = ["test", "rater", "session", "listener", "position", "trial", "slot", "stimulus", "value", "plays", "seconds"];
function csv() {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const who = [DATA.test, state.rater, state.session, state.listener + 1];
  const about = Object.entries(state.about).map(([name, value]) => [0, "about", 0, name, value, 0, 0]);
  return [COLUMNS, ...[...about, ...state.rows].map((row) => [...who, ...row])].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}
async function send(status) {
  try {
    const answer = await fetch(DATA.collector, { method: "POST", body: csv(), headers: { "Content-Type": "text/plain" } });
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 200));
    state.sent = true;
    save();
    status.textContent = "Your answers have been sent.";
  } catch (error) {
    status.textContent = "Your answers could not be sent. Please download them below and send the file to us. ";
    status.append(el("button", { class: "link", type: "button", onclick: () => send(status) }, "Try again"));
  }
}
/** Amazon Mechanical Turk takes the answers as a form, from its frame or from a page that frames us. */
function hand_over() {
  const to = PARAMS.get("turkSubmitTo");
  if (to && /^https:\/\/[a-z.]*mturk\.com\/?$/.test(to)) {
    const form = el("form", { method: "post", action: `${to.replace(/\/$/, "")}/mturk/externalSubmit` },
      el("input", { type: "hidden", name: "assignmentId", value: PARAMS.get("assignmentId") }),
      el("input", { type: "hidden", name: "answers", value: csv() }));
    document.body.append(form);
    form.submit();
  } else if (window.parent !== window) window.parent.postMessage({ listening: DATA.test, answers: csv() }, "*");
}
function finish() {
  keys = {};
  const status = el("p", { "aria-live": "polite" }, state.sent ? "Your answers have been sent." : "");
  const file = `listening_${DATA.test}_${state.rater.replace(/[^\w.-]+/g, "_")}.csv`;
  const download = el("a", { class: "main", style: "text-decoration:none;display:inline-block", download: file,
    href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })) }, "Download my answers");
  show(el("section", { class: "card middle" }, heading("Thank you!"),
    el("p", {}, "You have answered every question."), status,
    DATA.code ? el("p", {}, "Your completion code: ", el("br"), el("span", { class: "code" }, DATA.code)) : null,
    DATA.collector || DATA.completion ? null : el("p", {}, "Please download your answers and send the file to whoever invited you."),
    el("p", {}, download),
    DATA.completion ? el("p", {}, el("a", { href: DATA.completion }, "Finish and go back")) : null,
    el("p", {}, el("button", { class: "link", type: "button",
      onclick: () => confirm("Delete these answers from this device and start again?") && forget() }, "Start again as another person"))), 1, "");
  if (DATA.collector && !state.sent) send(status);
  hand_over();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const target = event.target;
  const typing = target.matches("input[type=text], select");
  if (typing || (target.matches("button, a") && (event.key === "Enter" || event.key === " "))) return;
  const action = keys[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});

state = load();
if (state && Array.isArray(state.rows)) next(); else begin();
