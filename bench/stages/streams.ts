/** What goes over streams: events to many watchers, renewals of leases. */
import type { Stage } from '../stage.ts'

const WATCHERS = 1000

export const streams: Stage = {
  name: 'streams',
  steps: [
    {
      kind: 'load',
      name: 'watch-cold',
      what: 'events of puts to one key with 1,000 watchers: the first 100 puts',
      program: 'load',
      args: ['fan-out'],
      total: 100,
      clients: WATCHERS,
      reportsForEach: WATCHERS,
      isFoundation: true,
    },
    {
      kind: 'load',
      name: 'watch',
      what: 'events of puts to one key with 1,000 watchers, steady',
      program: 'load',
      args: ['fan-out'],
      total: 400,
      clients: WATCHERS,
      reportsForEach: WATCHERS,
      rate: { atLeast: 1.3 },
    },
    {
      kind: 'load',
      name: 'keepalive',
      what: 'renewals of 1,000 leases, each on its stream',
      program: 'load',
      args: ['keepalive'],
      total: 60_000,
    },
  ],
}
