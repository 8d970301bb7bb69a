/** `--feature-gates=Name=true,Name=false` (etcd: server/features). Pure. */
import { parseSwitch } from './given.ts'

export interface FeatureGates {
  readonly initialCorruptCheck: boolean
  readonly compactHashCheck: boolean
}

interface Gate {
  readonly stage: 'alpha' | 'beta'
  readonly fallback: boolean
  readonly help: string
  readonly ignored?: string
  readonly refused?: string
}

export const GATES: Readonly<Record<string, Gate>> = {
  CompactHashCheck: {
    stage: 'alpha',
    fallback: false,
    help: 'The leader compares what compactions left on all members, every --compact-hash-check-time.',
  },
  FastLeaseKeepAlive: {
    stage: 'beta',
    fallback: true,
    help: '',
    ignored: 'the renewal of a lease waits for no more than it has to',
  },
  InitialCorruptCheck: {
    stage: 'alpha',
    fallback: false,
    help: 'A member compares its data with the others’ before it serves anybody.',
  },
  LeaseCheckpoint: {
    stage: 'alpha',
    fallback: false,
    help: '',
    refused: 'a new leader gives every lease its whole TTL again',
  },
  LeaseCheckpointPersist: {
    stage: 'alpha',
    fallback: false,
    help: '',
    refused: 'a new leader gives every lease its whole TTL again',
  },
  PriorityRequest: {
    stage: 'alpha',
    fallback: false,
    help: '',
    ignored: 'requests are applied in the order of the log',
  },
  SetMemberLocalAddr: {
    stage: 'alpha',
    fallback: false,
    help: '',
    ignored: 'connections to peers leave from the address that the system chooses',
  },
  StopGRPCServiceOnDefrag: {
    stage: 'alpha',
    fallback: false,
    help: '',
    ignored: 'a member goes on serving while it defragments',
  },
  TxnModeWriteWithSharedBuffer: {
    stage: 'beta',
    fallback: true,
    help: '',
    ignored: 'a txn reads the store without copying it',
  },
}

export interface ReadGates {
  readonly gates: FeatureGates
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

export function readFeatureGates(text: string): ReadGates {
  const warnings: string[] = []
  const problems: string[] = []
  const given = new Map<string, boolean>()
  for (const part of text.split(',').filter((part) => part.trim() !== '')) {
    const [name = '', value] = part.trim().split('=')
    const isOn = value === undefined ? undefined : parseSwitch(value.trim())
    if (isOn === undefined) problems.push(`'${part}' is not of the form Name=true or Name=false`)
    else if (name !== 'AllAlpha' && name !== 'AllBeta' && !Object.hasOwn(GATES, name))
      problems.push(`'${name}' is no feature: there are AllAlpha, AllBeta, ${Object.keys(GATES).join(', ')}`)
    else given.set(name, isOn)
  }
  const isOn = (name: string): boolean => {
    const gate = GATES[name]
    const ofStage = gate?.stage === 'alpha' ? given.get('AllAlpha') : given.get('AllBeta')
    return given.get(name) ?? ofStage ?? gate?.fallback ?? false
  }
  for (const [name, gate] of Object.entries(GATES)) {
    if (isOn(name) === gate.fallback) continue
    if (gate.refused !== undefined) problems.push(`${name} cannot be had: ${gate.refused}`)
    else if (gate.ignored !== undefined) warnings.push(`--feature-gates: ${name} has no effect: ${gate.ignored}`)
  }
  const gates = { initialCorruptCheck: isOn('InitialCorruptCheck'), compactHashCheck: isOn('CompactHashCheck') }
  return { gates, warnings, problems }
}
