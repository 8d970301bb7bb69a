/** The steps of the scenario, in their order. Each leaves the cluster Ready. */
import { Resolver } from 'node:dns/promises'
import { readFileSync, readdirSync } from 'node:fs'
import { memberStatuses } from '../cluster/recorder.ts'
import { startWriting } from '../cluster/ledger.ts'
import { raftCluster } from '../cluster/manifests.ts'
import type { Kube } from '../cluster/kube.ts'
import { etcdctlByName, withEtcdctl } from '../cluster/etcdctl.ts'
import { DNS_ADDRESS } from '../machine/box-files.ts'
import {
  CLIENT_PORT,
  CLIENT_SERVICE,
  CLUSTER,
  MEMBERS_SELECTOR,
  NAMESPACE,
  OPERATOR_NAMESPACE,
  PATHS,
  PEER_PORT,
  RELEASE,
  volumeName,
} from '../names.ts'
import { waitFor } from '../wait.ts'
import { cluster, leaderPod, phase, scale, seconds, untilReady, type Context } from './context.ts'

/** Title of the phase. */
export const ROLLOUT = 'annotate restartedAt: 5 members are restarted, the leader last'
const RESTARTED_AT = 'raftkv.dev/restartedAt'
const REPLACE_MEMBER = 'raftkv.dev/replace-member'
/** A put may have been acknowledged, yet not reached its writer, when the leader is killed: the gap begins after that. */
const AFTER_LEADER_KILL_MS = 1000

export async function applyThreeMembers(context: Context): Promise<void> {
  const { kube, report } = context
  await phase(context, 'apply a RaftCluster of 3 members', { isScaling: true, mayBeUnavailable: true }, async () => {
    await kube.kubectl(['apply', '-f', '-'], { input: raftCluster({ namespace: NAMESPACE, spec: { replicas: 3 } }) })
    const value = await untilReady(kube)
    report.figure({ title: 'apply to Ready, 3 members', value, unit: 's', target: 20 })
  })
}

export async function useEtcdctl({ kube, report }: Context): Promise<void> {
  await report.step('etcdctl: put, get, txn, member list', async () => {
    await withEtcdctl({ kube, namespace: NAMESPACE }, `service/${CLIENT_SERVICE}`, async (etcdctl) => {
      expect('put', await etcdctl(['put', 'greeting', 'hello']), /^OK/)
      expect('get', await etcdctl(['get', 'greeting', '--print-value-only']), /^hello\n$/)
      const txn = 'value("greeting") = "hello"\n\nput greeting again\n\nput greeting never\n\n'
      expect('txn', await etcdctl(['txn'], txn), /SUCCESS\s+OK/)
      expect('get', await etcdctl(['get', 'greeting', '--print-value-only']), /^again\n$/)
      const members = await etcdctl(['member', 'list'])
      for (const ordinal of [0, 1, 2])
        expect('member list', members, new RegExp(`started, ${CLUSTER}-${ordinal},.*false`))
      expect('del', await etcdctl(['del', 'greeting']), /^1\n$/)
    })
  })
}

export async function discoverMembers({ report, options }: Context): Promise<void> {
  if (!options.isBox) return report.note('        etcdctl --discovery-srv is left out: it asks the DNS of the box')
  await report.step(
    'etcdctl --discovery-srv finds the members by the SRV records of the headless Service',
    async () => {
      const domain = `${CLUSTER}-headless.${NAMESPACE}.svc.cluster.local`
      const names = [0, 1, 2].map((ordinal) => `${CLUSTER}-${ordinal}.${domain}`)
      const dns = new Resolver()
      dns.setServers([DNS_ADDRESS])
      for (const [service, port] of [
        ['etcd-client', CLIENT_PORT],
        ['etcd-server', PEER_PORT],
      ] as const) {
        const records = await dns.resolveSrv(`_${service}._tcp.${domain}`)
        const found = records.map((record) => `${record.name}:${record.port}`).toSorted()
        const wanted = names.map((name) => `${name}:${port}`)
        if (found.join() !== wanted.join()) throw new Error(`${service} is at ${found.join(', ')}`)
      }
      const health = await etcdctlByName(DNS_ADDRESS, [`--discovery-srv=${domain}`, 'endpoint', 'health', '--cluster'])
      for (const name of names) expect('endpoint health', health, new RegExp(`${name}:${CLIENT_PORT} is healthy`))
    },
  )
}

export async function startWriters({ kube, report, options }: Context): Promise<void> {
  await report.step('three writers begin to put numbered keys through the client Service', async () => {
    await startWriting(kube, { namespace: NAMESPACE, image: options.image })
  })
}

export async function scaleToFive(context: Context): Promise<void> {
  const { kube, report } = context
  await phase(context, 'kubectl scale from 3 to 5', { isScaling: true }, async () => {
    await scale(kube, 5)
    const value = await untilReady(kube)
    report.figure({ title: 'scale from 3 to 5 to Ready', value, unit: 's', target: 30 })
  })
}

export async function killLeader(context: Context): Promise<void> {
  const { kube } = context
  const kind = { isScaling: false, mayBeUnavailable: true }
  await phase(context, "kill the leader's pod; its member comes back as itself", kind, async () => {
    const pod = await leaderPod(kube)
    const path = PATHS.pod(pod)
    const [before, uid] = [await memberIds(context), (await kube.object(path))?.metadata.uid]
    context.leaderKill.podUid = uid ?? ''
    context.leaderKill.fromMs = Date.now()
    // A forced deletion still asks the process to end; only on the box can it be killed without being asked.
    if (context.options.isBox) killProcess(`--name=${pod}`)
    await kube.kubectl(['-n', NAMESPACE, 'delete', 'pod', pod, '--grace-period=0', '--force'])
    context.leaderKill.untilMs = Date.now() + AFTER_LEADER_KILL_MS
    await waitFor(`another pod ${pod}`, { timeoutMs: 60_000 }, async () => {
      const now = (await kube.object(path))?.metadata.uid
      return now !== undefined && now !== uid ? true : undefined
    })
    await untilReady(kube)
    await allServe(context, 5)
    const after = await memberIds(context)
    if (before !== after) throw new Error(`the members were ${before} before, and are ${after} now`)
  })
}

/** Writers go on; a member that ends as it is asked to hands its clients over. */
export async function restartAll(context: Context): Promise<void> {
  const { kube, report } = context
  await phase(context, ROLLOUT, { isScaling: true }, async () => {
    const before = await memberIds(context)
    const stamp = new Date().toISOString()
    const beganMs = performance.now()
    await annotate(kube, RESTARTED_AT, stamp)
    await waitFor('every pod to be recreated', { timeoutMs: 240_000, everyMs: 200 }, async () => {
      const pods = await kube.list(PATHS.pods)
      const isNew = pods.every(({ metadata }) => JSON.stringify(metadata).includes(stamp))
      return pods.length === 5 && isNew ? true : undefined
    })
    await untilReady(kube)
    report.figure({ title: 'rollout of 5 members', value: seconds(performance.now() - beganMs), unit: 's' })
    await allServe(context, 5)
    const after = await memberIds(context)
    if (before !== after) throw new Error(`the members were ${before} before, and are ${after} now`)
  })
}

export async function replaceMember(context: Context): Promise<void> {
  const { kube, report } = context
  const pod = `${CLUSTER}-1`
  await phase(
    context,
    `annotate replace-member ${pod}: it is replaced in place, volume and all`,
    { isScaling: true },
    async () => {
      const [before, volume] = [await memberIds(context), await volumeUid(kube, pod)]
      const beganMs = performance.now()
      await annotate(kube, REPLACE_MEMBER, pod)
      await waitFor(`another volume and another member ${pod}`, { timeoutMs: 150_000, everyMs: 200 }, async () => {
        const now = await memberIds(context)
        const isReplaced =
          now.includes(`${pod}=`) && !before.split(' ').some((old) => old.startsWith(`${pod}=`) && now.includes(old))
        return isReplaced && (await volumeUid(kube, pod)) !== volume ? true : undefined
      })
      await untilReady(kube)
      report.figure({ title: 'replacement of a member', value: seconds(performance.now() - beganMs), unit: 's' })
      await allServe(context, 5)
    },
  )
}

async function annotate(kube: Kube, annotation: string, value: string): Promise<void> {
  await kube.kubectl(['-n', NAMESPACE, 'annotate', '--overwrite', `raftcluster/${CLUSTER}`, `${annotation}=${value}`])
}

async function volumeUid(kube: Kube, pod: string): Promise<string | undefined> {
  const volumes = await kube.list(PATHS.volumes)
  return volumes.find(({ metadata }) => metadata.name === volumeName(pod))?.metadata.uid
}

export async function scaleDownUnderLeader(context: Context): Promise<void> {
  const { kube } = context
  const pod = `${CLUSTER}-4`
  await context.report.step(`etcdctl move-leader to ${pod}`, () => moveLeader(context, pod))
  await phase(
    context,
    'kubectl scale from 5 to 3 while the leader sits on ordinal 4',
    { isScaling: true },
    async () => {
      await scale(kube, 3)
      await untilReady(kube)
      await podsAre(context, 3)
    },
  )
}

export async function killOperatorMidScale(context: Context): Promise<void> {
  const { kube } = context
  await phase(
    context,
    'kubectl scale from 3 to 5, the operator killed in the middle',
    { isScaling: true },
    async () => {
      await scale(kube, 5)
      const { step, ordinal } = await waitFor('status.operation', { timeoutMs: 30_000, everyMs: 20 }, async () => {
        return (await cluster(kube)).status.operation
      })
      context.report.note(`the operator is killed at step ${step} of ordinal ${ordinal}`)
      const selector = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=operator`
      // Killed, it cannot give its Lease back: the next one has to wait until it runs out.
      if (context.options.isBox) killProcess('operator/main.ts')
      const command = ['-n', OPERATOR_NAMESPACE, 'delete', 'pod', '-l', selector, '--grace-period=0', '--force']
      await kube.kubectl(command)
      await untilReady(kube)
    },
  )
}

export async function editStatefulSetByHand(context: Context): Promise<void> {
  const { kube } = context
  // One of five pods goes for a moment: a quorum stays, and clients of that pod go elsewhere.
  await phase(context, 'edit the StatefulSet by hand: replicas 4; it is put back', { isScaling: false }, async () => {
    const before = await memberIds(context)
    const beganMs = performance.now()
    await kube.kubectl(['-n', NAMESPACE, 'scale', `statefulset/${CLUSTER}`, '--replicas=4'])
    await waitFor('the StatefulSet to have 5 replicas again', { timeoutMs: 30_000, everyMs: 50 }, async () => {
      return (await statefulSetReplicas(context)) === 5 ? true : undefined
    })
    context.report.figure({ title: 'hand edit put back after', value: seconds(performance.now() - beganMs), unit: 's' })
    await allServe(context, 5)
    await untilReady(kube)
    const after = await memberIds(context)
    if (before !== after) throw new Error(`the members were ${before} before, and are ${after} now`)
  })
}

export async function scaleToOneAndBack(context: Context): Promise<void> {
  const { kube } = context
  for (const [from, to] of [
    [5, 1],
    [1, 3],
  ] as const) {
    await phase(context, `kubectl scale from ${from} to ${to}`, { isScaling: true }, async () => {
      await scale(kube, to)
      await untilReady(kube)
      await podsAre(context, to)
    })
  }
}

export async function deleteCluster({ kube, report }: Context): Promise<void> {
  await report.step('delete the RaftCluster: what it owned goes, its volumes stay', async () => {
    const volumes = (await kube.list(PATHS.volumes)).map(({ metadata }) => metadata.uid).toSorted()
    await kube.kubectl(['-n', NAMESPACE, 'delete', `raftcluster/${CLUSTER}`, '--timeout=60s'])
    const owned = [
      PATHS.statefulSets,
      PATHS.services,
      PATHS.secrets,
      PATHS.serviceAccounts,
      PATHS.disruptionBudgets,
      PATHS.pods,
    ]
    await waitFor('everything it owned to go', { timeoutMs: 90_000 }, async () => {
      const left = (await Promise.all(owned.map((path) => kube.list(path)))).flat().map(({ metadata }) => metadata.name)
      const ours = left.filter((name) => name === CLUSTER || name.startsWith(`${CLUSTER}-`))
      if (ours.length === 0) return true
      throw new Error(`still there: ${ours.join(', ')}`)
    })
    const left = (await kube.list(PATHS.volumes)).map(({ metadata }) => metadata.uid).toSorted()
    if (left.join() !== volumes.join())
      throw new Error(`there were ${volumes.length} volumes, now ${left.length} are left`)
  })
}

/** SIGKILL, from outside of its container. */
function killProcess(argument: string): void {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = pids.find((pid) => commandLine(pid).includes(argument))
  if (found === undefined) throw new Error(`no process has the argument ${argument}`)
  process.kill(Number(found), 'SIGKILL')
}

function commandLine(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return [] // it has ended since
  }
}

async function moveLeader(context: Context, pod: string): Promise<void> {
  const { kube } = context
  const member = (await cluster(kube)).status.members.find(({ name }) => name === pod)
  if (member === undefined) throw new Error(`${pod} is not among status.members`)
  await waitFor(`${pod} to lead`, { timeoutMs: 30_000, everyMs: 500 }, async () => {
    const statuses = await memberStatuses(kube)
    const leader = statuses.find(({ role }) => role === 'leader')
    if (leader === undefined) return undefined
    if (leader.name === pod) return true
    await withEtcdctl({ kube, namespace: NAMESPACE }, `pod/${leader.name}`, (etcdctl) =>
      etcdctl(['move-leader', member.id]),
    )
    return undefined
  })
}

/** Names and IDs of the members, as they tell themselves. */
async function memberIds({ kube }: Context): Promise<string> {
  const { members } = (await cluster(kube)).status
  return members
    .map(({ name, id }) => `${name}=${id}`)
    .toSorted()
    .join(' ')
}

async function allServe({ kube }: Context, count: number): Promise<void> {
  const wait = ['-n', NAMESPACE, 'wait', 'pod', '-l', MEMBERS_SELECTOR, '--for=condition=Ready', '--timeout=60s']
  await waitFor(`${count} member pods`, { timeoutMs: 60_000 }, async () => {
    const pods = (await kube.list(PATHS.pods)).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    return pods.length === count ? true : undefined
  })
  await kube.kubectl(wait)
}

async function podsAre({ kube }: Context, count: number): Promise<void> {
  const names = (await kube.list(PATHS.pods)).map(({ metadata }) => metadata.name).toSorted()
  const wanted = Array.from({ length: count }, (_, ordinal) => `${CLUSTER}-${ordinal}`)
  if (names.join() !== wanted.join()) throw new Error(`Ready, yet the pods are ${names.join(', ')}`)
}

async function statefulSetReplicas({ kube }: Context): Promise<unknown> {
  const spec = (await kube.object(PATHS.statefulSet))?.['spec']
  return typeof spec === 'object' && spec !== null && 'replicas' in spec ? spec.replicas : undefined
}

function expect(what: string, said: string, wanted: RegExp): void {
  if (!wanted.test(said))
    throw new Error(`etcdctl ${what} printed ${JSON.stringify(said)}, which does not match ${wanted}`)
}
