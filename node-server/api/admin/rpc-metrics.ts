/** What is counted of calls, under the names that etcd's dashboards ask for. */
import { Counter, type Registry } from 'prom-client'
import type { CallObserver, Method, RpcCode } from '../../grpc/service.ts'
import { Tally, TalliedHistogram } from './tally.ts'

/** The part of the engine's observer that is about figures. */
export interface RpcMetrics {
  method(path: string, kind: Method['kind']): CallObserver
  receivedBytes(count: number): void
  sentBytes(count: number): void
}

/** Every other stream goes both ways. */
const SERVER_STREAMS: ReadonlySet<string> = new Set([
  '/etcdserverpb.KV/RangeStream',
  '/etcdserverpb.Maintenance/Snapshot',
  '/v3electionpb.Election/Observe',
  '/grpc.health.v1.Health/Watch',
])

/** `flush` is to be called before each scrape. */
export function rpcMetrics(registry: Registry): { readonly rpc: RpcMetrics; readonly flush: () => void } {
  const registers = [registry]
  const names = ['grpc_type', 'grpc_service', 'grpc_method']
  const started = new Counter({ name: 'grpc_server_started_total', help: 'RPCs begun.', labelNames: names, registers })
  const handled = new Counter({
    name: 'grpc_server_handled_total',
    help: 'RPCs ended, by code.',
    labelNames: [...names, 'grpc_code'],
    registers,
  })
  const seconds = new TalliedHistogram({
    name: 'grpc_server_handling_seconds',
    help: 'Time of an RPC, in seconds.',
    labelNames: names,
    registers,
  })
  const tallies: Tally[] = []
  const tallied = (counter: { inc(by: number): void }): Tally => {
    const tally = new Tally(counter)
    tallies.push(tally)
    return tally
  }
  const bytes = (name: string, help: string): Tally => tallied(new Counter({ name, help, registers }))
  const received = bytes('etcd_network_client_grpc_received_bytes_total', 'Bytes of client requests.')
  const sent = bytes('etcd_network_client_grpc_sent_bytes_total', 'Bytes of answers to clients.')
  const rpc: RpcMetrics = {
    method: (path, kind) => {
      const [grpc_service = '', grpc_method = ''] = path.slice(1).split('/')
      const labels = { grpc_type: typeOf(path, kind), grpc_service, grpc_method }
      const begun = tallied(started.labels(labels))
      const duration = seconds.tally(labels)
      const byCode = new Map<RpcCode, Tally>()
      return {
        started: () => begun.add(),
        handled: (code, elapsed) => {
          let ended = byCode.get(code)
          if (ended === undefined) {
            ended = tallied(handled.labels({ ...labels, grpc_code: code }))
            byCode.set(code, ended)
          }
          ended.add()
          duration.add(elapsed)
        },
      }
    },
    receivedBytes: (count) => received.add(count),
    sentBytes: (count) => sent.add(count),
  }
  return { rpc, flush: () => tallies.forEach((tally) => tally.flush()) }
}

function typeOf(path: string, kind: Method['kind']): string {
  if (kind === 'unary') return 'unary'
  return SERVER_STREAMS.has(path) ? 'server_stream' : 'bidi_stream'
}
