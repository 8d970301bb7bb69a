/** `backup follow`: keeps the changes of a cluster until it is stopped, and serves its status. */
import { unreachable } from '../../lib/assert.ts'
import type { FollowStatus } from '../../lib/follow-status.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { fullOf, listBackups, takeBackup } from '../backup/backup.ts'
import { followChanges } from '../backup/changes/follow.ts'
import type { FollowNews } from '../backup/changes/follow-options.ts'
import { statusAfter } from '../backup/changes/follow-state.ts'
import { changeSource } from '../backup/changes/watched-member.ts'
import type { Destination } from '../backup/destination.ts'
import { withMember, withSnapshot, type SourceOptions } from '../backup/source.ts'
import { serveFollowStatus } from './follow-status-server.ts'
import type { ToolIo } from './tool-io.ts'

/** Something must: while it waits for its next try there is no connection and no timer that would. */
const KEEP_ALIVE_MS = 60_000

export interface FollowToolOptions {
  readonly intervalMs: number
  /** Where it serves its status; undefined: nowhere. */
  readonly statusPort: number | undefined
  readonly signal: AbortSignal
}

export async function follow(
  io: ToolIo,
  source: SourceOptions,
  destination: Destination,
  { intervalMs, statusPort, signal }: FollowToolOptions,
): Promise<void> {
  let status: FollowStatus = { place: destination.url }
  const server = statusPort === undefined ? undefined : await serveFollowStatus(statusPort, () => status)
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS)
  try {
    await followChanges({
      destination,
      withSource: (use) => withMember(source, (member) => use(changeSource(member))),
      listFulls: async (clusterId) => (await listBackups(destination, clusterId)).map(fullOf),
      takeFull: async () => {
        const { name } = await withSnapshot(source, (snapshot) => takeBackup(snapshot, destination, new Date()))
        await io.out.write(`took ${name}\n`)
      },
      clock: systemClock,
      random: Math.random,
      intervalMs,
      report: (news) => {
        status = statusAfter(status, news, systemClock.wallMs())
        void tell(io, news)
      },
      signal,
    })
  } finally {
    clearInterval(alive)
    server?.close()
    server?.closeAllConnections()
  }
}

async function tell(io: ToolIo, news: FollowNews): Promise<void> {
  switch (news.kind) {
    case 'kept': {
      const { clusterId, revision, atMs } = news
      const until = atMs === undefined ? 'more is to come' : new Date(atMs).toISOString()
      return void (await io.out.write(`${clusterId}: kept up to revision ${revision}, ${until}\n`))
    }
    case 'first':
      return void (await io.out.write('there is no backup to begin with: one is taken now\n'))
    case 'gap':
      return void (await io.err.write(`Gap: ${news.message}\n`))
    case 'failed':
      return void (await io.err.write(`Warning: ${news.message}\n`))
    default:
      return unreachable(news)
  }
}
