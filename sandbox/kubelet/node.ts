/** The Node object. Pure. */
import type { NewObject } from '../client/object.ts'
import { timestamp } from '../client/object.ts'

const LEASE_SECONDS = 40
const LEASE_NAMESPACE = 'kube-node-lease'
const MAX_PODS = 110

export function newNode(name: string): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/sandbox': 'true',
      },
    },
    spec: {},
  }
}

export interface Machine {
  readonly cpus: number
  readonly memoryBytes: number
}

export function nodeStatus(
  name: string,
  address: string,
  port: number,
  machine: Machine,
  nowMs: number,
  readySinceMs: number,
): Readonly<Record<string, unknown>> {
  const now = timestamp(nowMs)
  const resources = {
    cpu: String(machine.cpus),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: String(MAX_PODS),
  }
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: 'processes on this machine: no containers, no limits',
    lastHeartbeatTime: now,
    lastTransitionTime: timestamp(readySinceMs),
  })
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    conditions: [
      condition('MemoryPressure', 'False', 'NotMeasured'),
      condition('DiskPressure', 'False', 'NotMeasured'),
      condition('PIDPressure', 'False', 'NotMeasured'),
      condition('Ready', 'True', 'KubeletReady'),
    ],
    nodeInfo: {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      bootID: '',
      containerRuntimeVersion: 'raftkv-sandbox://processes',
      kernelVersion: '',
      kubeProxyVersion: '',
      kubeletVersion: 'v0.0.0-raftkv-sandbox',
      machineID: '',
      operatingSystem: process.platform,
      osImage: 'raftkv sandbox',
      systemUUID: '',
    },
  }
}

export function nodeLease(name: string, nowMs: number): NewObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: LEASE_NAMESPACE },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
    },
  }
}
