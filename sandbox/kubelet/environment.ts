/**
 * What a container's process sees: its variables, its command with `$(NAME)` filled in, and local directories where the
 * pod's paths are. Pure.
 *
 * There is no file system of its own: a mount path such as `/var/lib/raftkv` is replaced by the volume's directory
 * wherever it stands in the command, the arguments and the variables, at the borders of a path.
 */
import { err, ok, type Result } from '../../lib/result.ts'
import type { Container, Pod } from './pod.ts'

/** Secrets and ConfigMaps by name, one character for each byte; undefined for one that is not there. */
export interface Sources {
  readonly secret: (name: string) => Readonly<Record<string, string>> | undefined
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined
}

export interface PodFacts {
  readonly podIP: string
  readonly hostIP: string
}

/** The error says which key is missing, as the kubelet's CreateContainerConfigError does. */
export function variablesOf(
  pod: Pod,
  container: Container,
  facts: PodFacts,
  sources: Sources,
): Result<Readonly<Record<string, string>>, string> {
  const variables: Record<string, string> = {}
  for (const { prefix, secretRef, configMapRef } of container.envFrom) {
    const reference = secretRef ?? configMapRef
    if (reference === undefined) continue
    const kind = secretRef === undefined ? 'configmap' : 'secret'
    const found = secretRef === undefined ? sources.configMap(reference.name) : sources.secret(reference.name)
    if (found === undefined && !reference.optional) return err(`${kind} "${reference.name}" not found`)
    for (const [key, value] of Object.entries(found ?? {})) variables[prefix + key] = decodeText(value)
  }
  for (const { name, value, valueFrom } of container.env) {
    if (valueFrom === undefined) {
      variables[name] = expand(value ?? '', variables)
      continue
    }
    const found = valueOf(pod, valueFrom, facts, sources)
    if (!found.ok) return found
    if (found.value !== undefined) variables[name] = found.value
  }
  return ok(variables)
}

type ValueFrom = NonNullable<Container['env'][number]['valueFrom']>

function valueOf(pod: Pod, from: ValueFrom, facts: PodFacts, sources: Sources): Result<string | undefined, string> {
  if (from.fieldRef !== undefined) return fieldOf(pod, from.fieldRef.fieldPath, facts)
  // A process here has the whole machine.
  if (from.resourceFieldRef !== undefined) return ok('0')
  const reference = from.secretKeyRef ?? from.configMapKeyRef
  if (reference === undefined) return ok('')
  const isSecret = from.secretKeyRef !== undefined
  const data = isSecret ? sources.secret(reference.name) : sources.configMap(reference.name)
  const value = data?.[reference.key]
  if (value !== undefined || reference.optional) return ok(value === undefined ? value : decodeText(value))
  const kind = isSecret ? 'secret' : 'configmap'
  if (data === undefined) return err(`${kind} "${reference.name}" not found`)
  return err(`couldn't find key ${reference.key} in ${kind} ${pod.namespace}/${reference.name}`)
}

function decodeText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** The downward API: `metadata.name`, `metadata.labels['x']`, `status.podIP` and the like. */
export function fieldOf(pod: Pod, path: string, { podIP, hostIP }: PodFacts): Result<string, string> {
  const { metadata } = pod.object
  const [, part, key] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? []
  if (key !== undefined) return ok((part === 'labels' ? metadata.labels : metadata.annotations)?.[key] ?? '')
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': pod.name,
    'metadata.namespace': pod.namespace,
    'metadata.uid': pod.uid,
    'metadata.labels': lines(metadata.labels),
    'metadata.annotations': lines(metadata.annotations),
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName,
    'status.podIP': podIP,
    'status.podIPs': podIP,
    'status.hostIP': hostIP,
    'status.hostIPs': hostIP,
  }
  const value = fields[path]
  return value === undefined ? err(`field "${path}" is not supported`) : ok(value)
}

function lines(map: Readonly<Record<string, string>> = {}): string {
  return Object.entries(map)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/** `$(NAME)` for a variable that is known; `$$(NAME)` is `$(NAME)`; anything else stays as it is. */
export function expand(value: string, variables: Readonly<Record<string, string>>): string {
  return value.replaceAll(/\$(\$|\(([^()]+)\))/g, (found, escape: string, name: string | undefined) => {
    if (escape === '$') return '$'
    return name === undefined ? found : (variables[name] ?? found)
  })
}

export interface Mount {
  readonly mountPath: string
  readonly directory: string
}

/** Longest paths first, so that a mount below another wins. */
export function localise(value: string, mounts: readonly Mount[]): string {
  const ordered = mounts.toSorted((a, b) => b.mountPath.length - a.mountPath.length)
  if (ordered.length === 0) return value
  const paths = ordered.map(({ mountPath }) => RegExp.escape(mountPath.replace(/\/+$/, '')))
  const pattern = new RegExp(`(?<=^|[\\s=:,;"'(])(${paths.join('|')})(?=$|[/\\s:,;"')])`, 'g')
  return value.replaceAll(pattern, (path) => {
    const mount = ordered.find(({ mountPath }) => mountPath.replace(/\/+$/, '') === path)
    return mount?.directory ?? path
  })
}
