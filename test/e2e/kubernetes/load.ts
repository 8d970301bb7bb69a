/**
 * Everyday work on a Kubernetes whose store is under test: objects made, listed in pages, watched, updated in conflict and
 * deleted, a member of the store killed on the way, compaction running. What was written is held against what is there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { namespaceOf } from '../cluster/manifests.ts'
import type { Kube } from '../cluster/kube.ts'
import { PAUSE_IMAGE } from '../machine/images.ts'
import type { BoxStore } from '../machine/box-store.ts'
import type { Report } from '../report.ts'
import { waitFor } from '../wait.ts'
import { create, inParallel, parseConfigMap, persist, read, remove } from './api.ts'
import { recordWatch, type RecordedWatch } from './recorded-watch.ts'
import { checkCompaction, checkMembersAgree, leaderOf } from './store-checks.ts'

const NAMESPACE = 'store-e2e'
const CONFIG_MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`
const SELECTOR = `labelSelector=${encodeURIComponent('e2e=load')}`

const CONFIG_MAP_COUNT = 1000
const DEPLOYMENT_COUNT = 50
const CONTESTED_COUNT = 100
const TOKENS = 120
const WIDTH = 8
const PAGE = 100
const MEMBER_DOWN_MS = 3000

const names = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(4, '0')}`)

interface Load {
  readonly report: Report
  readonly kube: Kube
  readonly store: BoxStore
  /** What each ConfigMap must hold now. */
  readonly expected: Map<string, Readonly<Record<string, string>>>
  /** Successful writes that a watch must tell, by event type. */
  readonly told: { ADDED: number; MODIFIED: number; DELETED: number }
}

export async function runLoad(report: Report, kube: Kube, store: BoxStore): Promise<void> {
  const load: Load = { report, kube, store, expected: new Map(), told: { ADDED: 0, MODIFIED: 0, DELETED: 0 } }
  await kube.kubectl(['apply', '-f', '-'], { input: namespaceOf(NAMESPACE) })
  await waitFor('the ConfigMap that every namespace gets', { timeoutMs: 30_000 }, async () =>
    kube.get(`${CONFIG_MAPS}/kube-root-ca.crt`),
  )
  const start = await listVersion(kube)
  const watch = await recordWatch(kube, CONFIG_MAPS, start)
  const title = `make ${CONFIG_MAP_COUNT} ConfigMaps and ${DEPLOYMENT_COUNT} Deployments; the store's leader is killed meanwhile`
  await report.step(title, async () => {
    await Promise.all([makeConfigMaps(load), makeDeployments(load), killLeader(load)])
  })
  await report.step(`${CONTESTED_COUNT} updates, each tried twice on one version: one of two succeeds`, () =>
    contest(load),
  )
  await report.step(`${WIDTH} clients add ${TOKENS} tokens to one object`, () => addTokens(load))
  await report.step(`the pods of ${DEPLOYMENT_COUNT} Deployments run`, () => untilRunning(kube, DEPLOYMENT_COUNT))
  await checkPages(load)
  await report.step('delete every second ConfigMap and Deployment', () => deleteHalf(load))
  await report.step('the pods of the deleted Deployments go', () => untilRunning(kube, DEPLOYMENT_COUNT / 2))
  await checkPages(load)
  await checkWatch(load, watch)
  await checkCompaction(report, store, Number(start))
  await checkMembersAgree(report, store)
  await kube.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
}

async function makeConfigMaps({ kube, expected, told }: Load): Promise<void> {
  await inParallel(names('item', CONFIG_MAP_COUNT), WIDTH, async (name) => {
    const data = { written: name, filler: name.repeat(20) }
    await create(kube, CONFIG_MAPS, configMap(name, data), name)
    expected.set(name, data)
    told.ADDED += 1
  })
}

async function makeDeployments({ kube }: Load): Promise<void> {
  await inParallel(names('app', DEPLOYMENT_COUNT), 2, (name) => create(kube, DEPLOYMENTS, deployment(name), name))
}

/** Once a good part is written; the rest is written without it, and while it catches up. */
async function killLeader({ store, expected, report }: Load): Promise<void> {
  while (expected.size < CONFIG_MAP_COUNT / 4) await sleep(20)
  const leader = await leaderOf(store)
  await store.kill(leader)
  report.note(`        killed member ${leader} of the store, which led, after ${expected.size} ConfigMaps`)
  await sleep(MEMBER_DOWN_MS)
  store.restart(leader)
}

/** Optimistic concurrency is what Kubernetes asks of its store: of two writes on one version, one is refused. */
async function contest({ kube, expected, told }: Load): Promise<void> {
  await inParallel(names('item', CONTESTED_COUNT), WIDTH, async (name) => {
    const path = `${CONFIG_MAPS}/${name}`
    const before = parseConfigMap(await read(kube, path))
    const tries = ['a', 'b'].map(async (writer) => {
      const data = { ...before.data, contested: writer }
      const body = { ...configMap(name, data), metadata: { ...metadata(name), resourceVersion: version(before) } }
      return { data, status: (await kube.send('PUT', path, body)).status }
    })
    const outcomes = await Promise.all(tries)
    const winner = outcomes.find(({ status }) => status === 200)
    const statuses = outcomes.map(({ status }) => status).toSorted((a, b) => a - b)
    if (winner === undefined || statuses.join() !== '200,409')
      throw new Error(`two updates of version ${version(before)} of ${name} answer ${statuses.join(' and ')}`)
    expected.set(name, winner.data)
    told.MODIFIED += 1
  })
}

/** Read, modify, write, again on conflict: a lost update would lose a token. */
async function addTokens({ kube, expected, told }: Load): Promise<void> {
  const path = `${CONFIG_MAPS}/item-0999`
  await inParallel(names('token', TOKENS), WIDTH, async (token) => {
    await persist(`${token} on item-0999`, async () => {
      const current = parseConfigMap(await read(kube, path))
      const tokens = (current.data['tokens'] ?? '').split(',').filter((known) => known !== '')
      if (tokens.includes(token)) throw new Error(`${token} is there without having been written`)
      const data = { ...current.data, tokens: [...tokens, token].join(',') }
      const put = {
        ...configMap('item-0999', data),
        metadata: { ...metadata('item-0999'), resourceVersion: version(current) },
      }
      const answer = await kube.send('PUT', path, put)
      if (answer.status === 409) return undefined // somebody else was quicker: read again
      if (answer.status !== 200) throw new Error(`PUT answers ${answer.status}: ${answer.text.slice(0, 200)}`)
      told.MODIFIED += 1
      return answer
    })
  })
  const { data } = parseConfigMap(await read(kube, path))
  const found = (data['tokens'] ?? '').split(',').toSorted().join()
  if (found !== names('token', TOKENS).join()) throw new Error(`tokens were lost: ${found}`)
  expected.set('item-0999', data)
}

async function deleteHalf({ kube, expected, told }: Load): Promise<void> {
  const half = (all: readonly string[]): readonly string[] => all.filter((_, index) => index % 2 === 0)
  await inParallel(half(names('item', CONFIG_MAP_COUNT)), WIDTH, async (name) => {
    await remove(kube, `${CONFIG_MAPS}/${name}`)
    expected.delete(name)
    told.DELETED += 1
  })
  await inParallel(half(names('app', DEPLOYMENT_COUNT)), 2, (name) => remove(kube, `${DEPLOYMENTS}/${name}`))
}

const Page = z.object({
  metadata: z.object({ continue: z.string().default(''), resourceVersion: z.string() }),
  items: z.array(z.unknown()),
})

/** Lists in pages, all of one revision, and compares with what was written. */
async function checkPages({ kube, report, expected }: Load): Promise<void> {
  const problems: string[] = []
  const found = new Map<string, Readonly<Record<string, string>>>()
  const versions = new Set<string>()
  let [next, pages] = ['', 0]
  do {
    const query = `limit=${PAGE}&${SELECTOR}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`
    const page = Page.parse(await read(kube, `${CONFIG_MAPS}?${query}`))
    pages += 1
    versions.add(page.metadata.resourceVersion)
    for (const item of page.items) {
      const { metadata: meta, data } = parseConfigMap(item)
      if (found.has(meta.name)) problems.push(`${meta.name} is listed twice`)
      found.set(meta.name, data)
    }
    next = page.metadata.continue
  } while (next !== '')
  if (versions.size !== 1) problems.push(`the pages are of ${versions.size} revisions: ${[...versions].join()}`)
  for (const [name, data] of expected) {
    const actual = found.get(name)
    if (actual === undefined) problems.push(`${name} was written and is not listed`)
    else if (!isSame(actual, data)) problems.push(`${name} holds ${JSON.stringify(actual).slice(0, 200)}`)
  }
  for (const name of found.keys()) if (!expected.has(name)) problems.push(`${name} is listed and should not be`)
  report.check(`the list in ${pages} pages equals what was written: ${expected.size} ConfigMaps`, problems)
}

async function checkWatch({ kube, report, told }: Load, watch: RecordedWatch): Promise<void> {
  const last = Number(await listVersion(kube))
  const total = told.ADDED + told.MODIFIED + told.DELETED
  await waitFor(`${total} watch events`, { timeoutMs: 15_000 }, async () => {
    if (watch.brokenBy() !== undefined || watch.events.length >= total) return true
    throw new Error(`${watch.events.length} so far, the store is at ${last}`)
  }).catch((error: unknown) => report.note(String(error)))
  watch.stop()
  const problems: string[] = []
  if (watch.brokenBy() !== undefined) problems.push(`the watch broke: ${watch.brokenBy()}`)
  for (const type of ['ADDED', 'MODIFIED', 'DELETED'] as const) {
    const count = watch.events.filter((event) => event.type === type).length
    if (count !== told[type]) problems.push(`${count} events ${type}, ${told[type]} were written`)
  }
  for (const [index, event] of watch.events.entries()) {
    const before = watch.events[index - 1]
    if (before !== undefined && before.resourceVersion >= event.resourceVersion)
      problems.push(`${event.name} at ${event.resourceVersion} comes after ${before.resourceVersion}`)
  }
  report.check(`one watch over all of it tells each of ${total} changes once, in order`, problems)
}

async function untilRunning(kube: Kube, count: number): Promise<void> {
  const Pod = z.object({ status: z.object({ phase: z.string() }) })
  await waitFor(`${count} running pods`, { timeoutMs: 240_000, everyMs: 500 }, async () => {
    const pods = await kube.list(`${PODS}?${SELECTOR}`)
    const running = pods.filter(
      (pod) => pod.metadata.deletionTimestamp === undefined && Pod.safeParse(pod).data?.status.phase === 'Running',
    )
    if (running.length === count && pods.length === count) return true
    throw new Error(`${running.length} of ${pods.length} run`)
  })
}

async function listVersion(kube: Kube): Promise<string> {
  return Page.parse(await read(kube, `${CONFIG_MAPS}?limit=1`)).metadata.resourceVersion
}

function metadata(name: string): object {
  return { name, namespace: NAMESPACE, labels: { e2e: 'load' } }
}

function configMap(name: string, data: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(name), data }
}

function deployment(name: string): object {
  const labels = { e2e: 'load', app: name }
  const security = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const containers = [{ name: 'pause', image: PAUSE_IMAGE, imagePullPolicy: 'IfNotPresent', securityContext: security }]
  const spec = { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(name),
    spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels }, spec } },
  }
}

function version({
  metadata: { resourceVersion },
}: {
  readonly metadata: { readonly resourceVersion: string }
}): string {
  return resourceVersion
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const text = (data: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(data).toSorted(([x], [y]) => (x < y ? -1 : 1)))
  return text(a) === text(b)
}
