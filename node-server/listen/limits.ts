/** What one client, or all of them together, may take of a listener. Each has a flag; these are the defaults. */
export interface ListenLimits {
  /** Connections at once over all listen URLs of one address; further ones are closed when they arrive. */
  readonly maxConnections: number
  /** From the connection to the first bytes that tell its protocol; for a TLS handshake (etcd: 10 s); to HTTP/2's first settings. */
  readonly handshakeTimeoutMs: number
  /** Calls at once on one HTTP/2 connection; clients wait, or open another connection, beyond it. */
  readonly maxConcurrentStreams: number
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

export const DEFAULT_LIMITS: ListenLimits = {
  maxConnections: 16_384,
  handshakeTimeoutMs: 10_000,
  maxConcurrentStreams: 65_536,
  keepaliveMinTimeMs: 5000,
  keepaliveIntervalMs: 2 * 60 * 60 * 1000,
  keepaliveTimeoutMs: 20_000,
  maxHeaderBytes: 64 * 1024,
  headersTimeoutMs: 20_000,
  requestTimeoutMs: 300_000,
  idleTimeoutMs: 120_000,
}
