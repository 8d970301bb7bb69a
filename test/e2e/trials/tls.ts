/**
 * A cluster that is written to goes from plaintext to TLS, has its certificates renewed and its CAs replaced, and goes back. Its
 * writers follow, and open a connection every second: the one that repeats on Unavailable must not see a single failure.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { failedRepeats } from '../checks/writes.ts'
import { withEtcdctl } from '../cluster/etcdctl.ts'
import { readBack, switchWriters } from '../cluster/ledger.ts'
import type { RaftCluster } from '../cluster/raft-cluster.ts'
import { CLIENT_SERVICE, CLUSTER } from '../names.ts'
import { seconds } from '../scenario/context.ts'
import type { Place } from './place.ts'

const CERTIFICATES = `${CLUSTER}-client-tls`
const SIDES = ['peer', 'client'] as const
/** Of the 2160 hours that a certificate lives: it is renewed a minute after it was made. */
const RENEW_SOON = '2159h59m'
/** Applications are left two minutes to read their Secret, after each of two steps. */
const ROTATION_LIMIT_MS = 480_000
/** Nothing is excepted from what repeats must survive. */
const NEVER = { fromMs: Number.POSITIVE_INFINITY, untilMs: Number.NEGATIVE_INFINITY }

export async function tlsOnAndOff(place: Place): Promise<void> {
  await place.form({ replicas: 3, tls: bothSides({ mode: 'Disabled' }) }, CERTIFICATES)
  await place.step('spec.tls becomes Auto: members and writers go from plaintext to TLS', async () => {
    const value = await turn(place, { mode: 'Auto', phase: 'Required', scheme: 'https' })
    place.figure({ title: 'from plaintext to TLS, 3 members', value, unit: 's', target: 60 })
  })
  await place.step('etcdctl gets in with the Secret for applications, and with nothing else', () => knock(place))
  await place.step('certificates are renewed', async () => {
    await untilChanged(place, 'notAfter', { spec: { tls: bothSides({ renewBefore: RENEW_SOON }) } })
    await place.patch({ spec: { tls: bothSides({ renewBefore: null }) } })
    await place.untilCondition({ type: 'TLSReady', status: 'True', reason: 'Ready' })
  })
  await place.step('the CAs are replaced, as an annotation asks for', async () => {
    const beganMs = performance.now()
    await untilChanged(place, 'authorityNotAfter', { metadata: { annotations: { 'raftkv.dev/rotate-ca': 'once' } } })
    await place.until(
      'the old CAs to leave',
      async () => {
        const told = (await place.cluster()).status.conditions.find(({ type }) => type === 'TLSReady')
        if (told?.status === 'True' && told.reason === 'Ready') return true
        throw new Error(`TLSReady is ${told?.status} ${told?.reason}: ${told?.message}`)
      },
      { timeoutMs: ROTATION_LIMIT_MS },
    )
    place.figure({ title: 'two CAs replaced', value: seconds(performance.now() - beganMs), unit: 's' })
  })
  await place.step('spec.tls becomes Disabled: back to plaintext', async () => {
    const value = await turn(place, { mode: 'Disabled', phase: 'Disabled', scheme: 'http' })
    place.figure({ title: 'from TLS to plaintext, 3 members', value, unit: 's' })
  })
  await place.step('no request failed that is repeated on Unavailable, and no acknowledged write is lost', async () => {
    const puts = await place.stopWriting()
    const repeated = puts.filter(({ mayRepeat }) => mayRepeat)
    const failed = failedRepeats(puts, NEVER).map(
      ({ sentMs, problem }) => `${new Date(sentMs).toISOString()}: ${problem}`,
    )
    const slowestMs = Math.max(...repeated.map(({ sentMs, answeredMs }) => answeredMs - sentMs))
    place.note(
      `${repeated.length} puts of the writer that repeats, ${failed.length} failed, the slowest took ${Math.round(slowestMs)} ms`,
    )
    if (failed.length > 0) throw new Error(failed.slice(0, 5).join('\n'))
    place.holds(puts, await readBack(place.kube, place.namespace))
  })
}

interface Turn {
  readonly mode: 'Auto' | 'Disabled'
  /** In which both sides are at its end. When it begins, all members take both schemes. */
  readonly phase: string
  readonly scheme: 'http' | 'https'
}

/** In seconds. */
async function turn(place: Place, { mode, phase, scheme }: Turn): Promise<number> {
  const beganMs = performance.now()
  await place.patch({ spec: { tls: bothSides({ mode }) } })
  await untilPhase(place, phase)
  await switchWriters(place.kube, place.namespace, scheme)
  const reason = mode === 'Auto' ? 'Ready' : 'Disabled'
  await place.untilCondition({ type: 'TLSReady', status: mode === 'Auto' ? 'True' : 'False', reason })
  const value = seconds(performance.now() - beganMs)
  await place.untilReady()
  await place.untilCondition({ type: 'UpToDate', status: 'True' })
  return value
}

function untilPhase(place: Place, phase: string): Promise<boolean> {
  return place.until(`both sides to be ${phase}`, async () => {
    const { tls } = (await place.cluster()).status
    if (SIDES.every((side) => tls[side].phase === phase)) return true
    throw new Error(`they are ${tls.peer.phase} and ${tls.client.phase}`)
  })
}

/** Of both sides. */
async function untilChanged(place: Place, field: 'notAfter' | 'authorityNotAfter', patch: object): Promise<void> {
  const read = async (): Promise<RaftCluster['status']['tls']> => (await place.cluster()).status.tls
  const before = await read()
  await place.patch(patch)
  await place.until(`another ${field} on both sides`, async () => {
    const now = await read()
    return SIDES.every((side) => now[side][field] !== before[side][field]) ? true : undefined
  })
}

const Secret = z.object({ data: z.record(z.string(), z.string()) })

async function knock(place: Place): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-tls-'))
  const { data } = Secret.parse(await place.kube.get(`${place.paths.secrets}/${CERTIFICATES}`))
  for (const [file, encoded] of Object.entries(data))
    writeFileSync(join(folder, file), Buffer.from(encoded, 'base64'), { mode: 0o600 })
  const authority = `--cacert=${join(folder, 'ca.crt')}`
  const own = [`--cert=${join(folder, 'tls.crt')}`, `--key=${join(folder, 'tls.key')}`]
  const quick = '--command-timeout=2s'
  try {
    await withEtcdctl(place, `service/${CLIENT_SERVICE}`, async (etcdctl) => {
      await etcdctl([authority, ...own, 'put', 'over', 'TLS'])
      for (const flags of [[], [authority]]) {
        const said = await etcdctl([...flags, quick, 'get', 'over']).catch((error: unknown) => error)
        if (typeof said === 'string') throw new Error(`with ${flags.join() || 'nothing'} etcdctl got ${said}`)
      }
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const bothSides = (side: object): object => ({ peer: side, client: side })
