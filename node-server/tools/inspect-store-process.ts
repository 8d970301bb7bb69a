/** Reads the store that its one argument names and prints what was found: the other side of `inspectStore`. */
import { realVolume } from '../storage/volume.ts'
import { inspect, type InspectionAnswer } from './store-inspection.ts'

async function answer(path: string): Promise<InspectionAnswer> {
  try {
    return { store: await realVolume.stores.read(path, inspect) }
  } catch (error) {
    return { problem: `${path} is not a store that can be read: ${String(error)}` }
  }
}

const [, , path = ''] = process.argv
process.stdout.write(`${JSON.stringify(await answer(path))}\n`)
