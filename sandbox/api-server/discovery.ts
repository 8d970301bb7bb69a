/** What is served: the aggregated form that kubectl asks for, and the one of before. Source: API concepts, discovery. */
import type { JsonObject } from './object.ts'
import { groupVersion, type ResourceType, type Subresource } from './resources/resource-type.ts'

export const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

export function acceptsAggregated(accept: string): boolean {
  return accept.split(',').some((part) => {
    const text = part.replaceAll(' ', '')
    return text.includes('as=APIGroupDiscoveryList') && text.includes('v=v2') && !text.includes('v2beta1')
  })
}

interface Group {
  readonly name: string
  readonly versions: ReadonlyMap<string, readonly ResourceType[]>
}

/** Versions as the real server prefers them: v2 before v1 before v1beta1 before others. */
function versionRank(version: string): readonly [number, number, number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (match === null) return [3, 0, 0]
  const stage = match[2] === undefined ? 0 : match[2] === 'beta' ? 1 : 2
  return [stage, -Number(match[1]), -Number(match[3] ?? 0)]
}

function compareVersions(a: string, b: string): number {
  const left = versionRank(a)
  const right = versionRank(b)
  const difference = left.map((rank, index) => rank - (right[index] ?? 0)).find((each) => each !== 0)
  return difference ?? (a < b ? -1 : 1)
}

function groupsOf(types: readonly ResourceType[]): readonly Group[] {
  const byGroup = Map.groupBy(types, ({ group }) => group)
  return [...byGroup].map(([name, ofGroup]) => {
    const byVersion = Map.groupBy(ofGroup, ({ version }) => version)
    return { name, versions: new Map([...byVersion].toSorted(([a], [b]) => compareVersions(a, b))) }
  })
}

/** For `/api` (the core group) or `/apis` (all others). */
export function aggregated(types: readonly ResourceType[], isCore: boolean): JsonObject {
  const groups = groupsOf(types.filter(({ group }) => (group === '') === isCore))
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ name, versions }) => ({
      metadata: name === '' ? {} : { name },
      versions: [...versions].map(([version, resources]) => ({
        version,
        resources: resources.toSorted(byName).map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  }
}

const byName = (a: ResourceType, b: ResourceType): number => (a.resource < b.resource ? -1 : 1)

function responseKind(type: ResourceType, subresource?: Subresource): JsonObject {
  const isOwn = subresource === undefined || (subresource.group === '' && subresource.version === '')
  const isCustom = type.custom !== undefined
  const own = isCustom ? { group: type.group, version: type.version } : { group: '', version: '' }
  const { group, version } = isOwn || subresource === undefined ? own : subresource
  return { group, version, kind: subresource?.kind ?? type.kind }
}

function aggregatedResource(type: ResourceType): JsonObject {
  const subresources = type.subresources.map((subresource): JsonObject => ({
    subresource: subresource.name,
    responseKind: responseKind(type, subresource),
    verbs: [...subresource.verbs],
  }))
  return {
    resource: type.resource,
    responseKind: responseKind(type),
    scope: type.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: [...type.verbs],
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}

function groupJson({ name, versions }: Group): JsonObject {
  const listed = [...versions.keys()].map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: listed, preferredVersion: listed[0] ?? {} }
}

export function groupList(types: readonly ResourceType[]): JsonObject {
  const groups = groupsOf(types.filter(({ group }) => group !== ''))
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupJson) }
}

export function groupDocument(types: readonly ResourceType[], name: string): JsonObject | undefined {
  const group = groupsOf(types).find((each) => each.name === name && name !== '')
  return group === undefined ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...groupJson(group) }
}

export function resourceList(types: readonly ResourceType[], group: string, version: string): JsonObject | undefined {
  const found = types.filter((type) => type.group === group && type.version === version)
  if (found.length === 0) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion({ group, version }),
    resources: found.toSorted(byName).flatMap(legacyResources),
  }
}

function legacyResources(type: ResourceType): readonly JsonObject[] {
  const own: JsonObject = {
    name: type.resource,
    singularName: type.singular,
    namespaced: type.isNamespaced,
    kind: type.kind,
    verbs: [...type.verbs],
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
  }
  const inner = type.subresources.map((subresource): JsonObject => ({
    name: `${type.resource}/${subresource.name}`,
    singularName: '',
    namespaced: type.isNamespaced,
    ...(subresource.version === '' ? {} : { group: subresource.group, version: subresource.version }),
    kind: subresource.kind,
    verbs: [...subresource.verbs],
  }))
  return [own, ...inner]
}
