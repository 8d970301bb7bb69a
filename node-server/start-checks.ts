/** What is looked at before anything is opened. */
import { stat } from 'node:fs/promises'
import { isMissing } from './storage/disk.ts'

/** Others on the machine can read what users may have written there. Undefined when all is well. */
export async function permissionWarning(dataDirectory: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(dataDirectory)
    if ((mode & 0o077) === 0) return undefined
    const permissions = (mode & 0o777).toString(8)
    return `${dataDirectory} has the permissions ${permissions}: others than its owner may get at the data; 700 is recommended`
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
