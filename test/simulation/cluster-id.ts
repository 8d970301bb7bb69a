import { ClusterId } from '../../lib/ids.ts'

export const CLUSTER = ClusterId(0xc1n)
/** Of a volume that does not belong here. */
export const OTHER_CLUSTER = ClusterId(0xbadn)
