"use strict";

/* What the pages share. English stands in the page, all else that it says in its words, which come before. */
const element = (id) => document.getElementById(id);
let language = "en";

for (const { dataset, textContent } of document.querySelectorAll("[data-word]"))
	words.en[dataset.word] ??= textContent;

/* What an element says stays with it, for the other language. */
function tell(target, key, value = "") {
	const word = words[language][key] || "";
	const text = word.call ? word(value) : word;
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
		tags.unshift(localStorage.getItem("language") || "");
	} catch {}
	return tags.map((tag) => tag.split("-")[0]).find((tag) => words[tag]);
}

/* The choice lasts where the browser lets it. */
element("language").onclick = () => {
	speak(words[language].other);
	try {
		localStorage.setItem("language", language);
	} catch {}
};

const number = (value) => Math.round(value).toLocaleString(words[language].tag);

/* As text: what comes from elsewhere is never taken for HTML. */
const newElement = (name, textContent) => Object.assign(document.createElement(name), { textContent });

/* A screen reader hears a sentence a second at most. */
let unheard = 0;

function announce(alone) {
	if (unheard++ === 0)
		setTimeout(() => {
			element("live").textContent = unheard === 1 && alone || words[language].news(unheard);
			unheard = 0;
		}, 1000);
}

/* What arrives is shown once a frame, however much it is. */
let frame = 0;

function update() {
	frame ||= requestAnimationFrame(() => {
		frame = 0;
		draw();
	});
}

/* The state of the connection, in words that count down while it waits. */
let ticking;

function tellState(state, { attempt, delay }) {
	const box = element("state");
	const end = performance.now() + delay;
	const tick = () => tell(box, state, state === "waiting" ? Math.ceil((end - performance.now()) / 1000) : attempt);
	clearInterval(ticking);
	if (state === "waiting")
		ticking = setInterval(tick, 250);
	tick();
	box.dataset.state = state;
	element("connect").ariaDisabled = state === "open" || state === "connecting";
}

/* A browser may keep the page of a visitor who went on, but no connection with it: that comes back with the visitor. */
function keepThrough(socket) {
	let wanted;
	addEventListener("pagehide", () => {
		wanted = socket.state !== "closed";
		socket.close();
	});
	addEventListener("pageshow", ({ persisted }) => {
		if (!persisted)
			return;
		speak(preferredLanguage());
		if (wanted)
			socket.connect();
	});
}

speak(preferredLanguage());
