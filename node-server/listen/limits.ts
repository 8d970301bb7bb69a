/** What one client, or all of them together, may take of a listener. Each has a flag; these are the defaults. */
export interface ListenLimits {
  /** Connections at once over all listen URLs of one address; further ones are closed when they arrive. */
  readonly maxConnections: number
  /** From the connection to the first bytes that tell its protocol; for a TLS handshake, for HTTP/2's settings. */
  readonly handshakeTimeoutMs: number
  /** Calls at once on one HTTP/2 connection; clients wait, or open another connection, beyond it. */
  readonly maxConcurrentStreams: number
  /** Calls at once on all connections; further ones are refused, which clients try again. */
  readonly maxStreams: number
  /** Parts of requests that wait for the rest, on one connection and on all; a call beyond it is cut. */
  readonly maxConnectionRequestBytes: number
  readonly maxRequestBytesHeld: number
  /** Responses that a client does not read, on one connection and on all; a call beyond it is answered ResourceExhausted. */
  readonly maxConnectionResponseBytes: number
  readonly maxResponseBytesHeld: number
  /** A client that pings more often, more than twice in a row, is sent away (etcd: --grpc-keepalive-min-time). 0: no limit. */
  readonly keepaliveMinTimeMs: number
  /** Ping from the server when a connection is silent (etcd: --grpc-keepalive-interval). 0: never. */
  readonly keepaliveIntervalMs: number
  /** Without an answer to that ping for so long the connection is closed (etcd: --grpc-keepalive-timeout). */
  readonly keepaliveTimeoutMs: number
  /** All header fields of one request, by HTTP/1.1 and HTTP/2. */
  readonly maxHeaderBytes: number
  /** HTTP/1.1: until a request's header is complete. */
  readonly headersTimeoutMs: number
  /** HTTP/1.1: until a request's body is complete. */
  readonly requestTimeoutMs: number
  /** HTTP/1.1: between two requests on one connection. */
  readonly idleTimeoutMs: number
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: ListenLimits = {
  maxConnections: 16_384,
  handshakeTimeoutMs: 10_000,
  maxConcurrentStreams: 10_000,
  maxStreams: 50_000,
  maxConnectionRequestBytes: 256 * MIB,
  maxRequestBytesHeld: 1024 * MIB,
  maxConnectionResponseBytes: 256 * MIB,
  maxResponseBytesHeld: 1024 * MIB,
  keepaliveMinTimeMs: 5000,
  keepaliveIntervalMs: 2 * 60 * 60 * 1000,
  keepaliveTimeoutMs: 20_000,
  maxHeaderBytes: 64 * 1024,
  headersTimeoutMs: 20_000,
  requestTimeoutMs: 300_000,
  idleTimeoutMs: 120_000,
}
