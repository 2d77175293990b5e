"use strict";

/* What the pages share. English is in the page; what else it says, in its words, which come before. */
const element = (id) => document.getElementById(id);
let language = "en";

for (const { dataset, textContent } of document.querySelectorAll("[data-word]"))
	words.en[dataset.word] ??= textContent;

function say(key, value = "") {
	const { codes } = words[language];
	const text = (words[language][key] ?? "").replace("@", () => codes[value] ?? (value > 999 ? "RFC 6455 7.4" : value));
	return String(value).split(" ").reduce((text, part) => text.replace("$", () => part), text);
}

/* stays with the element, for the other language */
function tell(target, key, value = "") {
	const text = say(key, value);
	Object.assign(target.dataset, { word: key, value });
	if (target.textContent !== text)
		target.textContent = text;
}

function speak(choice) {
	language = choice;
	document.documentElement.lang = words[language].tag;
	document.title = words[language].heading;
	for (const target of document.querySelectorAll("[data-word]"))
		tell(target, target.dataset.word, target.dataset.value);
	element("language").lang = words[words[language].other].tag;
}

function preferredLanguage() {
	const tags = [...navigator.languages, "en"];
	try {
		tags.unshift(localStorage.language ?? "");
	} catch {}
	return tags.map((tag) => tag.slice(0, 2)).find((tag) => words[tag]);
}

element("language").onclick = () => {
	speak(words[language].other);
	try {
		localStorage.language = language;
	} catch {}
};

const number = (value) => Math.round(value).toLocaleString(words[language].tag);

/* as text: nothing is taken for HTML */
const newElement = (name, textContent) => Object.assign(document.createElement(name), { textContent });

/* A screen reader hears a sentence a second at most. */
let unheard = 0;

function announce(alone) {
	if (unheard++ === 0)
		setTimeout(() => {
			element("live").textContent = unheard === 1 && alone || say("news", unheard);
			unheard = 0;
		}, 1000);
}

/* once a frame */
let frame;

function update() {
	frame ??= requestAnimationFrame(() => {
		frame = null;
		draw();
	});
}

let ticking;

function tellState(state, { attempt, delay }) {
	const box = element("state");
	const end = performance.now() + delay;
	const tick = () => tell(box, state, Math.ceil((end - performance.now()) / 1000));
	clearInterval(ticking);
	tell(box, state === "connecting" && attempt > 1 ? "retrying" : state, attempt);
	if (state === "waiting") {
		ticking = setInterval(tick, 250);
		tick();
	}
	box.dataset.state = state;
	element("connect").ariaDisabled = state === "open" || state === "connecting";
}

/* A browser may keep the page of a visitor who goes on; the connection comes back with the visitor. */
function keepThrough(socket) {
	let { state } = socket;
	addEventListener("pagehide", () => {
		({ state } = socket);
		socket.close();
	});
	addEventListener("pageshow", () => {
		speak(preferredLanguage());
		if (state !== "closed")
			socket.connect();
	});
}

speak(preferredLanguage());
