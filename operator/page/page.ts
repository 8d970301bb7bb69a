/** The page as the operator's main.ts needs it: it is shown looks and events, and served. */
import type { Server } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import type { Look } from '../cluster/look.ts'
import type { EventSink } from '../cluster/ports.ts'
import type { Address } from '../config.ts'
import { listen } from '../probes.ts'
import { Board, type KnownCluster } from './board.ts'
import { MAX_CONNECTIONS } from './limits.ts'
import { pageApp } from './server.ts'

export interface PageOptions {
  readonly clock: Clock
  readonly version: string
  readonly clusters: () => Iterable<KnownCluster>
  /** Of several copies of the operator, this one. */
  readonly isWorking: () => boolean
}

export interface Page {
  readonly looked: (look: Look) => void
  /** Whoever holds the lease: its pod, an underscore, and what is unique to it. */
  leaderSeen(identity: string): void
  alsoShowing(events: EventSink): EventSink
  listen(address: Address): Promise<Server>
}

export function createPage({ clock, version, clusters, isWorking }: PageOptions): Page {
  let leader = ''
  const board = new Board(clusters, () => clock.wallMs())
  const worksElsewhere = (): string | undefined => (isWorking() ? undefined : leader.replace(/_[^_]*$/, ''))
  return {
    looked: (look) => board.looked(look),
    leaderSeen: (identity) => void (leader = identity),
    alsoShowing: (events) => ({
      emit: (about, type, reason, action, message) => {
        events.emit(about, type, reason, action, message)
        board.happened(about, type, reason, message)
      },
    }),
    async listen(address) {
      const server = await listen(pageApp({ board, clock, version, worksElsewhere }), address)
      server.maxConnections = MAX_CONNECTIONS
      return server
    },
  }
}
