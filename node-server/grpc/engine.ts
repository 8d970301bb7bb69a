/** What every engine is given, and what it gives. */
import type { HttpHandler } from '../../lib/http-exchange.ts'
import type { ListenLimits } from '../listen/limits.ts'
import type { ListenLog } from '../listen/listener.ts'
import type { TlsOptions } from '../tls/options.ts'
import type { RpcObserver, ServiceTable } from './service.ts'

export interface GrpcServerOptions {
  /** As etcd's --listen-client-urls; port 0 takes a free one. */
  readonly listenURLs: readonly string[]
  readonly services: ServiceTable
  /** A longer request is refused before it is read to its end. */
  readonly maxReceiveBytes: number
  readonly observer: RpcObserver
  /** For requests that are not gRPC calls; by default all are answered 404. */
  readonly handleRequest?: HttpHandler
  /** Needed for https and unixs URLs. */
  readonly tls?: TlsOptions | undefined
  readonly limits?: ListenLimits
  readonly log?: ListenLog
}

export interface GrpcServer {
  /** `host:port` as bound, or the path of a unix socket, in the order of the listen URLs. */
  readonly addresses: readonly string[]
  /** No new calls; those in flight may finish within `graceMs`, then they are cut. Never rejects. */
  stop(graceMs: number): Promise<void>
}

export const SILENT: ListenLog = { info: () => undefined, warn: () => undefined }
export const notFound: HttpHandler = (_request, response) => {
  response.statusCode = 404
  response.end('404 page not found\n')
}
