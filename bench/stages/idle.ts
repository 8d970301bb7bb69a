/** Members that nobody asks anything, and many connections that come at once. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from '../../test/limits/cluster.ts'
import { look, type Stage } from '../stage.ts'

/** For what a start leaves to do. */
const SETTLE_MS = 10_000
const IDLE_MS = 60_000
/** Shorter, the ticks of the kernel's clock are all there is. */
const LEAST_IDLE_MS = 10_000
const SCRAPES = 200
const CONNECTIONS = 5000

async function shareOf(member: Member, ms: number): Promise<number> {
  const before = member.cpuSeconds()
  await delay(ms)
  return ((member.cpuSeconds() - before) * 100_000) / ms
}

export const idle: Stage = {
  name: 'idle',
  steps: [
    look({
      name: 'idle',
      measures: {
        leader: { what: 'of a core that an idle leader takes', unit: '%' },
        follower: { what: 'of a core that an idle follower takes', unit: '%' },
        anonymous: { what: 'anonymous memory of an idle member', unit: 'MB' },
        resident: { what: 'resident memory of an idle member', unit: 'MB' },
      },
      run: async ({ cluster, size }) => {
        const [leader, follower] = [await cluster.leader(), await cluster.follower()]
        await delay(size(SETTLE_MS))
        const ms = size(IDLE_MS, LEAST_IDLE_MS)
        const [ofLeader, ofFollower] = await Promise.all([shareOf(leader, ms), shareOf(follower, ms)])
        const { anonymous, ofFiles } = follower.memory()
        return { leader: ofLeader, follower: ofFollower, anonymous, resident: anonymous + ofFiles }
      },
    }),
    look({
      name: 'scrape',
      measures: { cpu: { what: 'processor time of a scrape of the metrics', unit: 'ms' } },
      run: async ({ cluster, size }) => {
        const [leader, scrapes] = [await cluster.leader(), size(SCRAPES, 50)]
        const before = leader.cpuSeconds()
        for (let i = 0; i < scrapes; i++) await leader.metrics()
        return { cpu: ((leader.cpuSeconds() - before) * 1000) / scrapes }
      },
    }),
    {
      kind: 'load',
      name: 'connections',
      what: '5,000 connections at once, a get on each',
      program: 'benchmark',
      args: ['range', 'key'],
      total: CONNECTIONS,
      clients: CONNECTIONS,
      connections: CONNECTIONS,
    },
  ],
}
