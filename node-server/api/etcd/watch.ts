/**
 * etcd's Watch service: many watches on one stream. Requests are taken one after the other; everything a client is told
 * goes through one queue (`outbox.ts`), so that `created` comes before events, progress after the events that it speaks
 * of, and nothing after `canceled`. Source: etcd's api/v3rpc/watch.go and mvcc/watcher.go.
 */
import type { Clock } from '../../../lib/clock.ts'
import type { CallContext, RpcStatus, ServiceTable } from '../../grpc/service.ts'
import { WatchableStore } from '../../node/watch/watchable-store.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { LeaderMonitor } from './leader-monitor.ts'
import { refusal } from './method.ts'
import { OutboxTotal } from './outbox.ts'
import { RequestTurns } from './request-turns.ts'
import { HeaderBytes } from './header-bytes.ts'
import { DEFAULT_WATCH_OPTIONS, type WatchOptions } from './watch-options.ts'
import { WatchStream } from './watch-stream.ts'

export function watchService(gate: Gate, clock: Clock, given: Partial<WatchOptions>): ServiceTable {
  const { node } = gate
  const options = { ...DEFAULT_WATCH_OPTIONS, ...given }
  const watchableStore = options.watchableStore ?? new WatchableStore(node, clock)
  const headers = new HeaderBytes(node)
  const outboxes = new OutboxTotal(options.outboxesBytes)
  const turns = new RequestTurns(clock)
  const monitor = new LeaderMonitor(node, clock, options.electionMs)
  return {
    '/etcdserverpb.Watch/Watch': {
      kind: 'stream',
      handle: async (stream, context) => {
        const refused = refusal(node, context)
        if (refused !== undefined) return refused
        const isLeaderRequired = context.metadata('hasleader') === 'true'
        const watches = new WatchStream(
          { gate, context, watchableStore, clock, options, headers, outboxes, turns },
          stream,
        )
        return serve(watches, context, isLeaderRequired ? monitor : undefined)
      },
    },
  }
}

/** Until the client has gone: that it says no more does not end its watches. */
async function serve(
  watches: WatchStream,
  { signal }: CallContext,
  monitor: LeaderMonitor | undefined,
): Promise<RpcStatus | undefined> {
  let endLeaderWait = (): void => undefined
  try {
    return await new Promise<RpcStatus | undefined>((resolve, reject) => {
      endLeaderWait = monitor?.onLost(() => resolve(statusOf('no-leader'))) ?? endLeaderWait
      watches.onGone = () => resolve(undefined)
      if (signal.aborted) resolve(undefined)
      signal.addEventListener('abort', () => resolve(undefined), { once: true })
      watches.readRequests().then((refused) => {
        if (refused !== undefined) resolve(refused)
      }, reject)
    })
  } finally {
    endLeaderWait()
    watches.close()
  }
}
