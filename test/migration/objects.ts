/** What the Kubernetes that moves has in it, and what must be the same wherever it has moved. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Target } from '../conformance/case.ts'

const NAMESPACE = '/api/v1/namespaces/moving'
const STATEFUL_SETS = '/apis/apps/v1/namespaces/moving/statefulsets'
const CONFIG_MAPS = 960
const SETS = 40
const AT_ONCE = 20
/** For which nothing may change once the control loops have looked at everything. */
const QUIET_MS = 8000

export const OBJECTS = CONFIG_MAPS + SETS

export async function fill({ calls }: Pick<Target, 'calls'>): Promise<void> {
  const { ask } = calls()
  await ask({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: 'moving' } } })
  await each(CONFIG_MAPS, (i) => ask({ method: 'POST', path: `${NAMESPACE}/configmaps`, body: configMap(i) }))
  await each(SETS, (i) => ask({ method: 'POST', path: STATEFUL_SETS, body: statefulSet(i) }))
  const target = { calls }
  await change(target)
  await calls().forget()
  await change(target)
}

/** Objects with a history: changed, deleted and made again. */
export async function change({ calls }: Pick<Target, 'calls'>): Promise<void> {
  const { ask } = calls()
  const path = (i: number): string => `${NAMESPACE}/configmaps/map-${i}`
  const patch = (): string => JSON.stringify({ data: { changed: String(performance.now()) } })
  await each(200, (i) =>
    ask({ method: 'PATCH', path: path(i), body: patch(), contentType: 'application/merge-patch+json' }),
  )
  await each(25, (i) => ask({ method: 'DELETE', path: path(i) }))
  await each(25, (i) => ask({ method: 'POST', path: `${NAMESPACE}/configmaps`, body: configMap(i) }))
}

/** All objects with their versions, as one text each. */
export async function objects(target: Target): Promise<readonly string[]> {
  const { ask } = target.calls()
  const lists = await Promise.all(
    [`${NAMESPACE}/configmaps`, STATEFUL_SETS, `${NAMESPACE}/pods`].map((path) => ask({ path })),
  )
  return lists.flatMap(({ body }) =>
    (body as { readonly items: readonly unknown[] }).items.map((item) => JSON.stringify(item)),
  )
}

/** Starts the control loops and watches what they do to objects that are as they should be: nothing. */
export async function staysQuiet(target: Target): Promise<boolean> {
  const before = await objects(target)
  await target.startControllers()
  await delay(QUIET_MS)
  const after = await objects(target)
  return before.length === after.length && before.every((object, i) => object === after[i])
}

function configMap(i: number): unknown {
  return { metadata: { name: `map-${i}`, labels: { half: String(i % 2) } }, data: { value: 'v'.repeat(100 + 10 * i) } }
}

/** Without pods: there is nobody here to run them. */
function statefulSet(i: number): unknown {
  const labels = { app: `set-${i}` }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } }
  return {
    metadata: { name: `set-${i}` },
    spec: { replicas: 0, serviceName: 'none', selector: { matchLabels: labels }, template },
  }
}

async function each(count: number, run: (i: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, i) => run(at + i))
    await Promise.all(some)
  }
}
