/** `backup follow`: the changes of a cluster, kept until it is told to end. */
import { systemClock } from '../../lib/system-clock.ts'
import { fullOf, listBackups, takeBackup } from '../backup/backup.ts'
import { followChanges } from '../backup/changes/follow.ts'
import type { FollowNews } from '../backup/changes/follow-options.ts'
import { changeSource } from '../backup/changes/watched-member.ts'
import type { Destination } from '../backup/destination.ts'
import { withMember, withSnapshot, type SourceOptions } from '../backup/source.ts'
import type { ToolIo } from './tool-io.ts'

/** Something must: while it waits for its next try there is no connection and no timer that would. */
const KEEP_ALIVE_MS = 60_000

export async function follow(
  io: ToolIo,
  source: SourceOptions,
  destination: Destination,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
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
      report: (news) => void tell(io, news),
      signal,
    })
  } finally {
    clearInterval(alive)
  }
}

async function tell(io: ToolIo, news: FollowNews): Promise<void> {
  if (news.kind === 'kept') {
    const { clusterId, revision, atMs } = news
    const until = atMs === undefined ? 'more is to come' : new Date(atMs).toISOString()
    await io.out.write(`${clusterId}: kept up to revision ${revision}, ${until}\n`)
  } else await io.err.write(`${news.kind === 'gap' ? 'Gap' : 'Warning'}: ${news.message}\n`)
}
