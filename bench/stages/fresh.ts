/** The first second of load: of members that have just started, and of a leader that has just become one. */
import { untilCaughtUp } from '../../test/limits/cluster.ts'
import { look, type Load, type Stage } from '../stage.ts'

/** A second's. */
const FIRST_PUTS = 6000

const put = (name: string, what: string): Load => ({
  kind: 'load',
  name,
  what,
  program: 'benchmark',
  args: ['put', '--key-size=8', '--sequential-keys', '--key-space-size=100000', '--val-size=256'],
  total: FIRST_PUTS,
  isFoundation: true,
})

export const fresh: Stage = {
  name: 'fresh',
  endsLeaders: true,
  steps: [
    put('put-first', 'put, 1,000 clients: the first 6,000 of a leader that has just started'),
    look({
      name: 'leader-killed',
      measures: {},
      isFoundation: true,
      run: async ({ cluster }) => {
        const old = await cluster.leader()
        await old.stop('SIGKILL')
        const leader = await cluster.leader()
        old.start()
        await untilCaughtUp(old, leader)
        return {}
      },
    }),
    put('put-new-leader', 'the first 6,000 of a leader that was a follower before'),
  ],
}
