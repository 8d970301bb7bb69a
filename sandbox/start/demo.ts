/** `npm start -- --demo`: the tour by itself, while clients write; at its end all that was acknowledged is read back. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { RESOURCES } from '../client/resource.ts'
import type { Box } from './box.ts'
import type { EtcdJson } from './etcd-json.ts'
import { SAMPLE, SAMPLE_REPLICAS } from './objects.ts'
import type { Printer } from './printer.ts'
import type { ClusterView } from './progress.ts'
import { waitForCluster } from './progress.ts'
import { Writers } from './writers.ts'

const MORE_REPLICAS = 5
/** Between two steps, so that there is something to see. */
const LOOK_MS = 1000
/** No step takes longer; one that does ends the tour with an error. */
const STEP_TIMEOUT_MS = 120_000

/** Answers the exit code: 0 when nothing acknowledged was lost. */
export async function runDemo(box: Box, etcd: EtcdJson, printer: Printer, stop: AbortSignal): Promise<number> {
  await scale(box, printer, SAMPLE_REPLICAS, stop)
  let view = await settled(box, SAMPLE_REPLICAS, stop)
  const following = new AbortController()
  void waitForCluster(
    box.mirrors,
    (next) => {
      view = next
      return false
    },
    following.signal,
  ).catch(() => undefined)
  const prefix = `raftkv-tour/${randomBytes(4).toString('hex')}/`
  const addresses = (): readonly string[] => view.members.map(({ address }) => address).filter((text) => text !== '')
  const writers = new Writers(etcd, prefix, addresses)
  printer.step('tour', 'four clients write without a pause')
  try {
    await delay(LOOK_MS)
    for (const replicas of [MORE_REPLICAS, SAMPLE_REPLICAS]) {
      await scale(box, printer, replicas, stop)
      await settled(box, replicas, stop)
      printer.step('tour', `${replicas} members; ${writers.acknowledged} writes acknowledged so far`)
      await delay(LOOK_MS)
    }
    await killLeader(box, printer, stop)
    await delay(LOOK_MS)
  } finally {
    following.abort(new Error('the tour is over'))
    await writers.stop()
  }
  const { members } = await settled(box, SAMPLE_REPLICAS, stop)
  const address = members[0]?.address ?? ''
  const { acknowledged, lost, longestPauseMs } = await writers.verify(address)
  await etcd.deletePrefix(address, prefix)
  printer.line()
  printer.line(
    `${acknowledged} writes acknowledged, ${lost} lost. Longest time without an acknowledged write: ` +
      `${(longestPauseMs / 1000).toFixed(1)} s.`,
  )
  printer.line()
  return lost === 0 && acknowledged > 0 ? 0 : 1
}

async function scale({ client }: Box, printer: Printer, replicas: number, stop: AbortSignal): Promise<void> {
  stop.throwIfAborted()
  const ref = { ...SAMPLE }
  const cluster = await client.get(RESOURCES.raftClusters, ref)
  const known = cluster?.['spec']
  if (typeof known === 'object' && known !== null && 'replicas' in known && known.replicas === replicas) return
  printer.step('tour', `kubectl scale raft/${SAMPLE.name} --replicas=${replicas}`)
  await client.patch(RESOURCES.raftClusters, ref, { spec: { replicas } })
}

async function killLeader(box: Box, printer: Printer, stop: AbortSignal): Promise<void> {
  const { leader } = await settled(box, SAMPLE_REPLICAS, stop)
  const startedMs = performance.now()
  const isDead = box.kill(SAMPLE.namespace, leader)
  if (!isDead) throw new Error(`no process of ${leader} runs`)
  printer.step('tour', `kill -9 ${leader}, the leader`)
  const limit = AbortSignal.any([stop, AbortSignal.timeout(STEP_TIMEOUT_MS)])
  const view = await waitForCluster(box.mirrors, (next) => next.leader !== '' && next.leader !== leader, limit)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  printer.step('tour', `${view.leader} leads, as the operator saw after ${seconds} s`)
  await settled(box, SAMPLE_REPLICAS, stop)
}

async function settled({ mirrors }: Box, replicas: number, stop: AbortSignal): Promise<ClusterView> {
  const limit = AbortSignal.any([stop, AbortSignal.timeout(STEP_TIMEOUT_MS)])
  return waitForCluster(mirrors, (view) => view.isReady && view.replicas === replicas, limit)
}
