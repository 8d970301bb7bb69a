/** How long no put succeeds when the leader goes, at etcd's own timings. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { untilCaughtUp } from '../../test/limits/cluster.ts'
import { look, type Place, type Stage } from '../stage.ts'
import { reachedAt } from '../tool.ts'
import { parseGap } from '../tool-output.ts'

/** Puts go on for so long before and after. */
const STEADY_MS = 2000
const MEMBERS = 3

async function gapAfter(
  signal: 'SIGKILL' | 'SIGTERM',
  { cluster, tools }: Place,
): Promise<{ readonly seconds: number }> {
  const [leader, follower] = [await cluster.leader(), await cluster.follower()]
  const flags = [`--conns=${MEMBERS}`, `--clients=${MEMBERS}`, ...reachedAt(cluster, cluster.members)]
  const puts = spawn(tools.load, ['gap', ...flags], { stdio: ['pipe', 'pipe', 'inherit'] })
  const end = (): void => void puts.kill('SIGKILL')
  process.once('exit', end)
  try {
    let text = ''
    puts.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await once(puts.stdout, 'data') // the first has succeeded
    await delay(STEADY_MS)
    await leader.stop(signal)
    await cluster.leader()
    await delay(STEADY_MS)
    puts.stdin.end()
    await once(puts, 'close')
    const seconds = parseGap(text)
    if (seconds === undefined) throw new Error(`no gap in: ${text}`)
    leader.start()
    await untilCaughtUp(leader, follower)
    return { seconds }
  } finally {
    end()
    process.off('exit', end)
  }
}

export const gaps: Stage = {
  name: 'gaps',
  endsLeaders: true,
  steps: [
    look({
      name: 'gap-kill',
      measures: { seconds: { what: 'no put succeeds after SIGKILL of the leader', unit: 's', goal: { atMost: 0.7 } } },
      run: (place) => gapAfter('SIGKILL', place),
    }),
    look({
      name: 'gap-term',
      measures: { seconds: { what: 'no put succeeds after SIGTERM of the leader', unit: 's' } },
      run: (place) => gapAfter('SIGTERM', place),
    }),
  ],
}
