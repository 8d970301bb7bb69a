/** Puts, gets and txns: the first of a fresh member, then the steady rate; the same over TLS. */
import { calmnessDuring, calmnessOf } from '../calmness.ts'
import { look, type Load, type Stage } from '../stage.ts'
import { runLoad } from '../tool.ts'

const COLD_PUTS = 60_000
/** Together with the first: from then on ours gets no faster. */
const WARM_UP_PUTS = 180_000
const KEYS = 100_000
/** What ranges, gets and mixed loads find. */
const FILLED_KEYS = 10_000

const key = (i: number): string => `load/${String(i).padStart(8, '0')}`
const PUT = ['put', '--key-size=8', '--sequential-keys', `--key-space-size=${KEYS}`, '--val-size=256']
const GET = ['range', key(77)]
const load = (own: Omit<Load, 'kind' | 'program'>): Load => ({ kind: 'load', program: 'benchmark', ...own })

const fill = (name: string): Load => ({
  kind: 'load',
  name,
  what: 'puts of the keys that are read afterwards',
  program: 'load',
  args: ['fill'],
  total: FILLED_KEYS,
  isFoundation: true,
})

const PUT_STEADY = load({
  name: 'put-steady',
  what: 'put, 1,000 clients, leader, steady',
  args: PUT,
  total: 60_000,
  rate: { atLeast: 2 },
  p99: { atMost: 0.6 },
})

export const loads: Stage = {
  name: 'loads',
  steps: [
    load({
      name: 'put-cold',
      what: 'put, 1,000 clients, leader: the first 60,000 of fresh members',
      args: PUT,
      total: COLD_PUTS,
      rate: { atLeast: 1.5 },
      isFoundation: true,
    }),
    load({
      name: 'put-warming',
      what: 'the next 180,000',
      args: PUT,
      total: WARM_UP_PUTS,
      isFoundation: true,
    }),
    PUT_STEADY,
    look({
      name: 'put-calm',
      measures: calmnessOf('such a load'),
      run: async (place) => calmnessDuring(await place.cluster.leader(), () => runLoad(place, PUT_STEADY)),
    }),
    load({
      name: 'put-all',
      what: 'put, 1,000 clients, all members, steady',
      args: PUT,
      total: 60_000,
      to: 'all',
      rate: { atLeast: 2 },
      p99: { atMost: 0.6 },
    }),
    load({
      name: 'put-1',
      what: 'put, 1 client',
      args: PUT,
      total: 3000,
      clients: 1,
      connections: 1,
      p50: { atMost: 0.8 },
    }),
    load({ name: 'txn-4', what: 'txn of 4 puts', args: txnOf(4), total: 20_000, rate: { atLeast: 1.5 } }),
    fill('fill'),
    load({
      name: 'get-1',
      what: 'linearizable get, 1 client',
      args: GET,
      total: 5000,
      clients: 1,
      connections: 1,
      p50: { atMost: 1 },
    }),
    load({ name: 'get', what: 'linearizable get, 1,000 clients', args: GET, total: 60_000, rate: { atLeast: 1.6 } }),
    load({
      name: 'get-serializable',
      what: 'serializable get, 1,000 clients',
      args: [...GET, '--consistency=s'],
      total: 60_000,
      rate: { atLeast: 1.5 },
    }),
    load({
      name: 'range-100',
      what: 'range of 100 keys, 1,000 clients',
      args: ['range', key(0), key(100)],
      total: 10_000,
      rate: { atLeast: 1.5 },
    }),
    {
      kind: 'load',
      name: 'mixed',
      what: 'nine linearizable gets to one put, 1,000 clients',
      program: 'load',
      args: ['mixed'],
      total: 60_000,
      rate: { atLeast: 1.5 },
    },
    look({
      name: 'memory-load',
      measures: {
        peak: { what: 'the most resident during these loads, leader', unit: 'MB', goal: { atMost: 1.2 } },
        anonymous: { what: 'after them: anonymous, leader', unit: 'MB' },
        ofFiles: { what: 'after them: pages of files, leader', unit: 'MB' },
      },
      run: async ({ cluster }) => ({ ...(await cluster.leader()).memory() }),
    }),
  ],
}

export const tlsLoads: Stage = {
  name: 'tls',
  isTls: true,
  steps: [
    load({
      name: 'tls-put-cold',
      what: 'TLS: put, 1,000 clients, leader: the first 60,000',
      args: PUT,
      total: COLD_PUTS,
      isFoundation: true,
    }),
    load({
      name: 'tls-put-warming',
      what: 'TLS: the next 180,000',
      args: PUT,
      total: WARM_UP_PUTS,
      isFoundation: true,
    }),
    load({
      name: 'tls-put',
      what: 'TLS: put, 1,000 clients, leader, steady',
      args: PUT,
      total: 60_000,
      rate: { atLeast: 1.3 },
      keeps: { of: PUT_STEADY.name, what: 'puts a second over TLS, of those in plaintext', atLeast: 0.75 },
    }),
    load({ name: 'tls-put-1', what: 'TLS: put, 1 client', args: PUT, total: 3000, clients: 1, connections: 1 }),
    fill('tls-fill'),
    load({
      name: 'tls-get',
      what: 'TLS: linearizable get, 1,000 clients',
      args: GET,
      total: 60_000,
      rate: { atLeast: 1.3 },
    }),
    load({
      name: 'tls-get-serializable',
      what: 'TLS: serializable get, 1,000 clients',
      args: [...GET, '--consistency=s'],
      total: 60_000,
      rate: { atLeast: 1.3 },
    }),
  ],
}

function txnOf(puts: number): readonly string[] {
  return ['txn-put', `--txn-ops=${puts}`, '--key-size=8', `--key-space-size=${KEYS}`, '--val-size=256']
}
