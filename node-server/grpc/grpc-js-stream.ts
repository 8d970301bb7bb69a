/** A streaming call: requests as an iterable, answers with back-pressure. */
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { asBuffer, commonNameOf, HANDLER_FAILED } from './grpc-js-unary.ts'
import { STATUS } from './grpc-js-status.ts'
import type { CallContext, CallObserver, RpcObserver, RpcStatus, RpcStream, StreamHandler } from './service.ts'

export type Duplex = ServerDuplexStream<Buffer, Buffer>

/** All that the calls of one method share. */
export interface StreamRoute {
  readonly path: string
  readonly handle: StreamHandler
  readonly calls: CallObserver
  readonly observer: RpcObserver
  /** Aborts when the engine stops: streams that would go on for ever end then. */
  readonly stopping: AbortSignal
}

const STOPPED: RpcStatus = { code: 'Unavailable', message: 'etcdserver: server stopped' }

/** Resolves when the call has ended; never rejects. */
export async function serveStream(call: Duplex, route: StreamRoute): Promise<void> {
  const startedMs = performance.now()
  const gone = new AbortController()
  call.once('cancelled', () => gone.abort())
  route.calls.started()
  const status = await outcome(call, route, gone.signal)
  route.calls.handled(gone.signal.aborted ? 'Canceled' : (status?.code ?? 'OK'), (performance.now() - startedMs) / 1000)
  if (status === undefined) call.end()
  else call.emit('error', { code: STATUS[status.code], details: status.message, metadata: null })
}

async function outcome(call: Duplex, route: StreamRoute, gone: AbortSignal): Promise<RpcStatus | undefined> {
  const signal = AbortSignal.any([gone, route.stopping])
  const context: CallContext = {
    metadata: (name) => call.metadata.get(name)[0]?.toString(),
    signal,
    peer: call.getPeer(),
    get commonName() {
      return commonNameOf(call.getAuthContext())
    },
  }
  try {
    const status = await route.handle(rpcStream(call, route.observer, signal), context)
    return route.stopping.aborted ? (status ?? STOPPED) : status
  } catch (error) {
    if (gone.aborted) return HANDLER_FAILED
    route.observer.failed(route.path, error)
    return HANDLER_FAILED
  }
}

function rpcStream(call: Duplex, observer: RpcObserver, signal: AbortSignal): RpcStream {
  return {
    requests: requestsOf(call, observer),
    send: async (response) => {
      if (signal.aborted) return false
      observer.sentBytes(response.length)
      if (call.write(asBuffer(response))) return true
      try {
        await once(call, 'drain', { signal })
      } catch (error) {
        if (!signal.aborted) throw error
      }
      return !signal.aborted
    },
  }
}

async function* requestsOf(call: Duplex, observer: RpcObserver): AsyncGenerator<Uint8Array> {
  try {
    // Leaving the loop must not destroy the call: its status is still to be sent.
    for await (const request of call.iterator({ destroyOnReturn: false })) {
      observer.receivedBytes(request.length)
      yield request
    }
  } catch (error) {
    if (!call.cancelled) throw error
  }
}
