/* A WebSocket that comes back when it was lost, and notices when it was. It depends on nothing: copy it.
 * SPDX-License-Identifier: ISC. Copyright (c) 2026 the duplex authors.
 *
 *	const socket = new ReconnectingSocket(url, { onmessage: (data) => ..., onstate: (state, detail) => ... });
 *	socket.connect();     // at once, even while it waits
 *	socket.send("hello"); // true, or false if it is not open: NOTHING IS QUEUED
 *	socket.reconnect();   // drops the connection and connects at once
 *	socket.close();       // ends it, or the waiting
 *	socket.check();       // probes it now
 *
 * The states and their details; attempt is 1 at first and after a steady connection:
 *	connecting  {attempt}
 *	open        {attempt}
 *	waiting     {attempt, opened, code, reason, delay}  delay: ms to the next attempt
 *	closed      {attempt, opened, code, reason}  by the server, or given up; {attempt} by close()
 * What this client gives up has code 1006 and a reason. */
class ReconnectingSocket {
	/* url and protocols may be functions, also async ones, that are asked at each attempt. */
	protocols = [];
	binaryType = "blob";
	onstate = () => {};
	onmessage = () => {};

	/* ms to the next attempt, from first to longest by factor, less up to half at random: not all
	 * clients return at once. It is first again after a connection of steady ms. */
	first = 1000;
	longest = 30000;
	factor = 2;
	steady = 5000;

	/* ms that connecting may take */
	timeout = 4000;

	/* whether to try again: by default not if the server ended it on purpose (1000; 1005: no code) */
	again = ({ code }) => code !== 1000 && code !== 1005;

	/* The watchdog: probe (a value, or a function that returns one) is sent after silence, after
	 * patience without an answer to a send, and when network or page come back. If then nothing
	 * arrives for patience, the connection is dead. */
	probe = undefined;
	silence = 25000;
	patience = 5000;

	/* for tests */
	open = (url, protocols) => new WebSocket(url, protocols);
	now = () => performance.now();
	random = () => Math.random();
	setTimeout = (call, delay) => setTimeout(call, delay);
	clearTimeout = (timer) => clearTimeout(timer);

	#state = "closed";
	#line = null; // an object for each attempt while it connects or is open
	#failures = 0;
	#since;
	#due = null; // when to probe; null if not open, or probing
	#timer;

	constructor(url, options = {}) {
		for (const name of Object.keys(options))
			if (!Object.hasOwn(this, name))
				throw new TypeError(`ReconnectingSocket has no option "${name}"`);
		Object.assign(this, options, { url });
	}

	get state() {
		return this.#state;
	}

	get socket() {
		return this.#line?.socket;
	}

	connect() {
		if (this.#line)
			return;
		this.clearTimeout(this.#timer);
		this.#listen("addEventListener");
		const line = this.#line = {};
		this.#timer = this.setTimeout(() => this.#ended("not open in time"), this.timeout);
		this.#change("connecting", {});
		this.#begin(line);
	}

	send(data) {
		const open = this.socket?.readyState === 1;
		if (open) {
			this.socket.send(data);
			this.#expect(this.patience);
		}
		return open;
	}

	reconnect() {
		this.#drop();
		this.connect();
	}

	close(code = 1000, reason = "") {
		this.#drop(code, reason);
		if (this.#state !== "closed")
			this.#change("closed", {});
	}

	async #begin(line) {
		try {
			let [url, protocols] = [this.url, this.protocols].map((value) => value?.call ? value() : value);
			if (url?.then || protocols?.then)
				[url, protocols] = await Promise.all([url, protocols]);
			if (line === this.#line)
				this.#take(line, this.open(url, protocols ?? []));
		} catch (error) {
			if (line === this.#line)
				this.#ended(String(error));
		}
	}

	#take(line, socket) {
		line.socket = socket;
		socket.binaryType = this.binaryType;
		socket.onopen = () => this.#opened();
		socket.onmessage = ({ data }) => {
			this.#due = this.now() + this.silence;
			this.onmessage(data);
		};
		socket.onclose = ({ code, reason }) => this.#ended(reason, code);
		socket.onerror = () => {};
	}

	#opened() {
		this.#due = Infinity;
		this.clearTimeout(this.#timer);
		this.#expect(this.silence);
		this.#change("open", {});
	}

	#expect(delay) {
		const due = this.now() + delay;
		if (this.probe === undefined || this.#due === null || this.#due <= due)
			return;
		this.#due = due;
		this.#watch();
	}

	#watch() {
		const left = this.#due - this.now();
		this.clearTimeout(this.#timer);
		if (left > 0)
			this.#timer = this.setTimeout(() => this.#watch(), left);
		else
			this.check();
	}

	check() {
		if (this.probe === undefined || this.#due === null)
			return;
		this.clearTimeout(this.#timer);
		this.#due = null;
		this.#timer = this.setTimeout(() => this.#due === null ? this.#ended("silent") : this.#watch(), this.patience);
		this.send(this.probe?.call ? this.probe() : this.probe);
	}

	#wake = ({ type, target }) => {
		if (target.hidden)
			return;
		if (type === "online")
			this.#failures = 0;
		if (this.#state === "open")
			this.check();
		else if (this.#state === "waiting" || type === "online")
			this.reconnect();
	};

	#listen(method) {
		globalThis[method]?.("online", this.#wake);
		globalThis.document?.[method]("visibilitychange", this.#wake);
	}

	#drop(code, reason) {
		const socket = this.socket;
		if (this.#state === "open" && this.now() - this.#since >= this.steady)
			this.#failures = 0;
		this.clearTimeout(this.#timer);
		this.#due = this.#line = null;
		if (socket) {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close(code, reason);
		}
	}

	#ended(reason, code = 1006) {
		const opened = this.#state === "open";
		this.#drop();
		const detail = { attempt: this.#failures + 1, opened, code, reason };
		if (!this.again(detail))
			return this.#change("closed", detail);
		const most = Math.min(this.longest, this.first * this.factor ** this.#failures++);
		const delay = most * (1 - this.random() / 2);
		this.#timer = this.setTimeout(() => this.connect(), delay);
		this.#change("waiting", { ...detail, delay });
	}

	#change(state, detail) {
		const attempt = this.#failures + 1;
		this.#since = this.now();
		this.#state = state;
		if (state === "closed") {
			this.#failures = 0;
			this.#listen("removeEventListener");
		}
		this.onstate(state, { attempt, ...detail });
	}
}

globalThis.ReconnectingSocket = ReconnectingSocket;
