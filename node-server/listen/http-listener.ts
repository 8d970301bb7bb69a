/** HTTP/1.1 alone on addresses of its own, plain or with TLS: metrics, probes, the admin API. */
import type { Endpoint } from '../tls/acceptor.ts'
import type { TlsOptions } from '../tls/options.ts'
import { Http1, type RequestHandler } from './http1.ts'
import { DEFAULT_LIMITS, type ListenLimits } from './limits.ts'
import { Listener, type ListenLog } from './listener.ts'

export interface HttpListenerOptions {
  readonly urls: readonly string[]
  /** Needed for https and unixs. */
  readonly tls: TlsOptions | undefined
  readonly handle: RequestHandler
  readonly log: ListenLog
  readonly limits?: ListenLimits
  /** For the log; `client` when absent. */
  readonly endpoint?: Endpoint
}

/** Its `close` ends all connections within `graceMs`. Rejects when an address cannot be bound; then nothing is left open. */
export async function listenHttp(options: HttpListenerOptions): Promise<{ close(graceMs: number): Promise<void> }> {
  const { urls, tls, handle, log, limits = DEFAULT_LIMITS, endpoint = 'client' } = options
  const http1 = new Http1(limits, handle)
  const onHttp1 = http1.take.bind(http1)
  const listener = await Listener.open({ urls, tls, limits, log, endpoint, onHttp1, onHttp2: undefined })
  return {
    close: (graceMs) => {
      listener.close()
      return http1.close(graceMs)
    },
  }
}
