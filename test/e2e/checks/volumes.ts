/** Volumes go after their member was removed, and no others go. Pure. */
export interface VolumeSeen {
  readonly atMs: number
  readonly name: string
  readonly uid: string
  /** Its deletion was asked for, or it is gone. */
  readonly isGoing: boolean
}

export interface RemovalSeen {
  readonly memberId: string
  readonly memberName: string
  /** When a configuration without the member was first seen. */
  readonly atMs: number
}

/**
 * `names` says which member a volume belongs to by name. A removed member's volume is the one that had this name when
 * the member was removed; of a name that is used again later, each volume needs a removal of its own.
 */
export function checkVolumes(
  seen: readonly VolumeSeen[],
  removed: readonly RemovalSeen[],
  volumeName: (memberName: string) => string,
): string[] {
  const goingSince = new Map<string, VolumeSeen>()
  for (const volume of seen) if (volume.isGoing && !goingSince.has(volume.uid)) goingSince.set(volume.uid, volume)
  const unmatched = [...removed].toSorted((a, b) => a.atMs - b.atMs)
  const problems: string[] = []
  for (const volume of [...goingSince.values()].toSorted((a, b) => a.atMs - b.atMs)) {
    const position = unmatched.findIndex(({ memberName }) => volumeName(memberName) === volume.name)
    const [removal] = position === -1 ? [] : unmatched.splice(position, 1)
    if (removal === undefined)
      problems.push(`volume ${volume.name} (${volume.uid}) went, though its member was not removed`)
    else if (removal.atMs > volume.atMs) {
      const earlyMs = Math.round(removal.atMs - volume.atMs)
      problems.push(`volume ${volume.name} went ${earlyMs} ms before its member ${removal.memberId} was removed`)
    }
  }
  for (const { memberId, memberName } of unmatched) {
    problems.push(`member ${memberId} was removed, yet its volume ${volumeName(memberName)} is still there`)
  }
  return problems
}
