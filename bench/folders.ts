/** What a profile of V8's comes to by folder of the sources. Pure. */

/** Of the inspector's Profiler.Profile, what is read here. */
export interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  /** IDs of nodes. */
  readonly samples: readonly number[]
  /** Microseconds between them. */
  readonly timeDeltas: readonly number[]
}

/** Idle, or busy with the profile itself. */
const LEFT_OUT: ReadonlySet<string> = new Set(['(idle)', 'node:inspector'])

/** Microseconds in which the thread did something, by place, the longest first. */
export function byFolder({ nodes, samples, timeDeltas }: Profile): ReadonlyMap<string, number> {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]))
  const micros = new Map<string, number>()
  for (const [i, node] of samples.entries()) {
    const place = places.get(node) ?? 'unknown'
    if (!LEFT_OUT.has(place)) micros.set(place, (micros.get(place) ?? 0) + (timeDeltas[i] ?? 0))
  }
  return new Map([...micros].sort(([, a], [, b]) => b - a))
}

/** Node's modules by name, packages by name, ours by folder; what is no function's, by what V8 calls it: (garbage collector). */
function placeOf({ functionName, url }: Profile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName === '' ? '(native)' : functionName
  const builtin = /^node:(?:internal\/)?([^/]+)/.exec(url)
  if (builtin !== null) return `node:${builtin[1]}`
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (inPackage !== null) return `package ${inPackage[1]}`
  const [, ours] = /\/((?:node-server|lib)\/(?:.*\/)?)[^/]+$/.exec(url) ?? []
  return ours ?? url
}
