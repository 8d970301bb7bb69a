/** Gives every pod a node: the one with the fewest pods that takes new ones. No resources, no affinity. */
import { z } from 'zod'
import { isProblem } from '../../operator/kube/api-error.ts'
import type { StoredObject } from '../client/object.ts'
import { keyOf, parseKey } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'

const Node = z.object({ spec: z.object({ unschedulable: z.boolean().default(false) }).prefault({}) })
const Pod = z.object({ spec: z.object({ nodeName: z.string().default('') }) })

/** Undefined when every node is cordoned, or there is none. Equal nodes go by name. */
export function chooseNode(nodes: readonly StoredObject[], pods: readonly StoredObject[]): string | undefined {
  const counts = new Map<string, number>()
  for (const pod of pods) {
    const { nodeName } = Pod.parse(pod).spec
    counts.set(nodeName, (counts.get(nodeName) ?? 0) + 1)
  }
  const open = nodes.filter((node) => !Node.parse(node).spec.unschedulable).map(({ metadata }) => metadata.name)
  return open.toSorted((a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0) || (a < b ? -1 : 1))[0]
}

export async function startScheduler(sandbox: Sandbox): Promise<Loop> {
  const pods = sandbox.mirrors.of(RESOURCES.pods)
  const nodes = sandbox.mirrors.of(RESOURCES.nodes)
  await Promise.all([pods.synced, nodes.synced])
  const unbound = (): readonly string[] => [...pods.values()].filter(isUnbound).map(keyOf)
  const loop = startLoop(sandbox, {
    name: 'scheduler',
    // One at a time: each choice counts the pods before it.
    maxConcurrent: 1,
    keys: unbound,
    reconcile: async (key) => {
      const pod = pods.get(key)
      const node = chooseNode([...nodes.values()], [...pods.values()])
      if (pod === undefined || !isUnbound(pod)) return undefined
      if (node === undefined) return reportPending(sandbox, key)
      await bind(sandbox, pod, node)
      return undefined
    },
  })
  pods.onChange((pod, isGone) => isGone || !isUnbound(pod) || loop.enqueue(keyOf(pod)))
  nodes.onChange(() => {
    for (const key of unbound()) loop.enqueue(key)
  })
  return loop
}

function isUnbound(pod: StoredObject): boolean {
  return Pod.parse(pod).spec.nodeName === '' && pod.metadata.deletionTimestamp === undefined
}

async function bind({ client }: Sandbox, { metadata }: StoredObject, node: string): Promise<void> {
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid },
    target: { apiVersion: 'v1', kind: 'Node', name: node },
  }
  try {
    await client.post(RESOURCES.pods, { namespace: metadata.namespace, name: metadata.name }, 'binding', binding)
  } catch (error) {
    // Bound or gone already: the mirror is a moment behind.
    if (!isProblem(error, 'Conflict', 'NotFound')) throw error
  }
}

async function reportPending({ client, mirrors }: Sandbox, key: string): Promise<undefined> {
  const pod = mirrors.of(RESOURCES.pods).get(key)
  const known = z
    .object({ conditions: z.array(z.object({ type: z.string() })).default([]) })
    .parse(pod?.['status'] ?? {})
  if (pod === undefined || known.conditions.some(({ type }) => type === 'PodScheduled')) return undefined
  const message = 'no node takes new pods: each is cordoned, or there is none yet'
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
  await client.patch(RESOURCES.pods, parseKey(key), { status: { conditions: [condition] } }, { subresource: 'status' })
  return undefined
}
