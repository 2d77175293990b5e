import type { Constructor } from "./reconnecting-socket.js";
export type { Constructor, Data, Detail, Options, State } from "./reconnecting-socket.js";
declare const ReconnectingSocket: Constructor;
export default ReconnectingSocket;
