/** What engines do alike: an address serves every protocol, and who takes a connection is decided by what it speaks. */
import type { Socket } from 'node:net'
import type { Http1 } from '../listen/http1.ts'
import type { ListenLimits } from '../listen/limits.ts'
import { Listener } from '../listen/listener.ts'
import { SILENT, type GrpcServer, type GrpcServerOptions } from './engine.ts'

export interface PortParts {
  readonly limits: ListenLimits
  readonly http1: Http1
  readonly http2: {
    take(socket: Socket): void
    /** No new calls; those there are may end within `graceMs`, then they are cut. */
    close(graceMs: number): Promise<void>
  }
  /** Streams that would go on forever end when it aborts. */
  readonly stopping: AbortController
}

/** Rejects when an address cannot be bound; then nothing is left open. */
export async function openPort(options: GrpcServerOptions, parts: PortParts): Promise<GrpcServer> {
  const { limits, http1, http2, stopping } = parts
  const listener = await Listener.open({
    urls: options.listenURLs,
    tls: options.tls,
    limits,
    log: options.log ?? SILENT,
    onHttp1: (socket) => http1.take(socket),
    onHttp2: (socket) => http2.take(socket),
  })
  return {
    addresses: listener.addresses,
    stop: async (graceMs) => {
      stopping.abort()
      listener.close()
      await Promise.all([http1.close(graceMs), http2.close(graceMs)])
    },
  }
}
