/** How a pod is doing, in one word, as `kubectl get pods` says it. */
import { at, isBeingDeleted, listAt, numberAt, objectAt, textAt, type Json, type KubeObject } from '../object.ts'
import { age } from './duration.ts'
import type { Column } from './column.ts'

const NONE = '<none>'

export function podColumns(name: Column, ageColumn: Column): readonly Column[] {
  const cell = (title: string, of: Column['cell'], priority = 0): Column => ({
    name: title,
    type: 'string',
    priority,
    cell: of,
  })
  return [
    name,
    cell('Ready', readyCount),
    cell('Status', podStatus),
    cell('Restarts', restarts),
    ageColumn,
    cell('IP', (pod) => textAt(pod, 'status', 'podIP') || NONE, 1),
    cell('Node', (pod) => textAt(pod, 'spec', 'nodeName') || NONE, 1),
    cell('Nominated Node', (pod) => textAt(pod, 'status', 'nominatedNodeName') || NONE, 1),
    cell('Readiness Gates', (pod) => (listAt(pod, 'spec', 'readinessGates').length === 0 ? NONE : gates(pod)), 1),
  ]
}

const statuses = (pod: KubeObject): readonly Json[] => listAt(pod, 'status', 'containerStatuses')

function readyCount(pod: KubeObject): string {
  const ready = statuses(pod).filter((status) => at(status, 'ready') === true).length
  return `${ready}/${listAt(pod, 'spec', 'containers').length}`
}

function restarts(pod: KubeObject, nowMs: number): string {
  const total = statuses(pod).reduce<number>((sum, status) => sum + (numberAt(status, 'restartCount') ?? 0), 0)
  const ended = statuses(pod).map((status) => textAt(status, 'lastState', 'terminated', 'finishedAt'))
  const last = ended.toSorted().at(-1) ?? ''
  return total > 0 && last !== '' ? `${total} (${age(last, nowMs)} ago)` : `${total}`
}

function podStatus(pod: KubeObject): string {
  if (isBeingDeleted(pod)) return textAt(pod, 'status', 'reason') === 'NodeLost' ? 'Unknown' : 'Terminating'
  const initializing = initStatus(pod)
  if (initializing !== undefined) return initializing
  let reason = textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase')
  let hasRunning = false
  for (const status of statuses(pod).toReversed()) {
    const waiting = textAt(status, 'state', 'waiting', 'reason')
    const terminated = objectAt(status, 'state', 'terminated')
    if (waiting !== '') reason = waiting
    else if (Object.keys(terminated).length > 0) reason = terminatedReason(terminated)
    else if (at(status, 'ready') === true && at(status, 'state', 'running') !== undefined) hasRunning = true
  }
  if (reason !== 'Completed' || !hasRunning) return reason
  return isReady(pod) ? 'Running' : 'NotReady'
}

function isReady(pod: KubeObject): boolean {
  const found = listAt(pod, 'status', 'conditions').find((condition) => textAt(condition, 'type') === 'Ready')
  return textAt(found, 'status') === 'True'
}

function terminatedReason(terminated: Json): string {
  const reason = textAt(terminated, 'reason')
  if (reason !== '') return reason
  const signal = numberAt(terminated, 'signal') ?? 0
  return signal === 0 ? `ExitCode:${numberAt(terminated, 'exitCode') ?? 0}` : `Signal:${signal}`
}

/** Undefined once the init containers are through. */
function initStatus(pod: KubeObject): string | undefined {
  const wanted = listAt(pod, 'spec', 'initContainers').length
  for (const [index, status] of listAt(pod, 'status', 'initContainerStatuses').entries()) {
    const terminated = objectAt(status, 'state', 'terminated')
    if (numberAt(terminated, 'exitCode') === 0) continue
    if (Object.keys(terminated).length > 0) return `Init:${terminatedReason(terminated)}`
    const waiting = textAt(status, 'state', 'waiting', 'reason')
    return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${index}/${wanted}`
  }
  return undefined
}

function gates(pod: KubeObject): string {
  const listed = listAt(pod, 'spec', 'readinessGates').map((gate) => textAt(gate, 'conditionType'))
  const isTrue = (type: string): boolean =>
    listAt(pod, 'status', 'conditions').some(
      (each) => textAt(each, 'type') === type && textAt(each, 'status') === 'True',
    )
  return `${listed.filter(isTrue).length}/${listed.length}`
}
