/** Every bound of the page: what its viewers together may cost the operator. */

/** How often viewers are told what has changed; a cluster is looked at every 5 s, and twice a second while something is under way. */
export const TELL_EVERY_MS = 1000

/** Viewers that are told at once. To tell one takes a write to a socket, about 20 µs of a processor; the others ask from time to time. */
export const MAX_VIEWERS = 256

/** Sockets: all viewers, and what browsers open beside them for a few seconds. Further ones are closed. */
export const MAX_CONNECTIONS = 1024

/** A viewer that takes nothing for so long is dropped. Until then at most one whole state waits for it, which all share. */
export const SLOW_VIEWER_MS = 30_000

/** Something is written this often, for proxies that close what is silent, and to learn of viewers that have gone without a word. */
export const HEARTBEAT_MS = 15_000

/** Points of a cluster's graph, of about 70 bytes. */
export const HISTORY_POINTS = 360

/** Between two points, unless the leader or the term is another one: half an hour is 360 of them. */
export const HISTORY_EVERY_MS = 5000

/** Older points go. With many clusters, which are looked at less often, each then has few: at 3 looks a second 5,400 in all. */
export const HISTORY_MS = 1_800_000

/** Of a cluster; the oldest goes. All are in Kubernetes. */
export const RECENT_EVENTS = 20

/** Characters of an event's message, as many as Kubernetes takes. */
export const MAX_MESSAGE_LENGTH = 1000
