/** How often each fault struck and each step of the operator was taken: what no run comes to is proved by none. */

export const FAULTS = [
  'API server error',
  'API server throttles (429)',
  'request to the API server lost',
  'answer of the API server lost after it acted',
  'slow API server',
  'conflict with somebody else’s write',
  'watch broken',
  'watch silent until its idle limit',
  'watch events late',
  'watch told that its version is too old (410)',
  'request to a member lost',
  'answer of a member lost after it acted',
  'slow member',
  'operator crash',
  'operator crash right before a call',
  'operator crash right after a call',
  'operator paused past its lease',
  'operator stopped in order',
  'stale operator woke up and asked to change something',
  'pod deleted',
  'pod evicted (Failed)',
  'pod that cannot start',
  'volume lost with its data',
  'volume that is not provisioned for a while',
  'node lost',
  'member crash',
  'member cut off from its peers',
  'member cut off from the operator',
  'learner that never catches up',
  'leadership moves by itself',
  'replicas of the StatefulSet edited by hand',
  'object of ours deleted by hand',
  'member removed by hand',
  'learner added by hand',
  'spec: replicas',
  'spec: opposite edit',
  'spec: paused',
  'spec: pod template',
  'spec: volume size',
  'spec: invalid',
  'spec: scaled to zero',
  'annotation restartedAt',
  'annotation replace-member',
  'annotation move-leader',
  'quorum lost for good',
  'all operators and pods gone as a member is added',
  'RaftCluster deleted',
] as const

/** Plans (the reason of Progressing), steps of operations as recorded, refusals, and what conditions came to say. */
export const STEPS = [
  ...[
    'Forming',
    'ScalingUp',
    'ScalingDown',
    'ReplacingMember',
    'LearnerTimeout',
    'RollingOut',
    'MovingLeader',
    'Recovering',
    'ScalingToZero',
    'ScaledToZero',
    'DeletingVolumes',
    'Deleting',
    'Paused',
    'NoLeader',
    'QuorumLost',
    'QuorumAtRisk',
    'ChangeInFlight',
    'LearnerInTheWay',
    'NameTaken',
    'Settled',
  ].map((reason) => `plan ${reason}`),
  ...[
    'Form/Bootstrap',
    'ScaleUp/AddLearner',
    'ScaleUp/Join',
    'ScaleUp/CatchUp',
    'ScaleUp/Promote',
    'ScaleDown/TransferLeader',
    'ScaleDown/RemoveMember',
    'ScaleDown/RemovePod',
    'ScaleDown/DeleteVolume',
    'ReplaceMember/TransferLeader',
    'ReplaceMember/RemoveMember',
    'ReplaceMember/DeleteVolume',
    'Rollout/TransferLeader',
    'Rollout/RestartPod',
    'MoveLeader/TransferLeader',
    'Recover/Recover',
  ].map((step) => `step ${step}`),
  ...['Ready', 'Available', 'Degraded', 'QuorumLost', 'ScaleComplete', 'UpToDate', 'StorageReady', 'Paused'].flatMap(
    (type) => [`${type}=True`, `${type}=False`],
  ),
  'refused: ConfigIndexStale',
  'refused: QuorumAtRisk',
  'change lost with its leader',
]

export type Fault = (typeof FAULTS)[number]

export class Coverage {
  readonly counts = new Map<string, number>()

  note(place: string, times = 1): void {
    this.counts.set(place, (this.counts.get(place) ?? 0) + times)
  }

  add(other: Iterable<readonly [string, number]>): void {
    for (const [place, times] of other) this.note(place, times)
  }

  missing(places: readonly string[]): readonly string[] {
    return places.filter((place) => (this.counts.get(place) ?? 0) === 0)
  }

  table(title: string, places: readonly string[]): string {
    const rows = places.map((place) => `  ${String(this.counts.get(place) ?? 0).padStart(9)}  ${place}`)
    return [title, ...rows].join('\n')
  }
}
