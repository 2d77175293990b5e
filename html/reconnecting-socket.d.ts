/* The types of reconnecting-socket.js, whose comments are the manual. SPDX-License-Identifier: ISC */
export type Data = string | ArrayBufferLike | Blob | ArrayBufferView;
type Maybe<T> = T | (() => T | Promise<T>);

export type State = "connecting" | "open" | "waiting" | "closed";

export interface Detail {
	attempt: number;
	opened?: boolean;
	code?: number;
	reason?: string;
	delay?: number;
}

export interface Options {
	protocols?: Maybe<string | string[] | null | undefined>;
	binaryType?: BinaryType;
	onstate?: (state: State, detail: Detail) => void;
	onmessage?: (data: any) => void;
	first?: number;
	longest?: number;
	factor?: number;
	steady?: number;
	again?: (detail: Detail) => boolean;
	timeout?: number;
	probe?: Data | (() => Data);
	silence?: number;
	patience?: number;
	open?: (url: string, protocols: string | string[]) => WebSocket;
	now?: () => number;
	random?: () => number;
	setTimeout?: (call: () => void, delay: number) => any;
	clearTimeout?: (timer: any) => void;
}

export interface ReconnectingSocket extends Required<Options> {
	url: Maybe<string>;
	readonly state: State;
	readonly socket: WebSocket | undefined;
	connect(): void;
	send(data: Data): boolean;
	reconnect(): void;
	check(): void;
	close(code?: number, reason?: string): void;
}

export interface Constructor {
	new (url: Maybe<string>, options?: Options): ReconnectingSocket;
}

declare global {
	var ReconnectingSocket: Constructor;
}
