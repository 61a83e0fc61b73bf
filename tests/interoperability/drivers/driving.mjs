// What the Node.js drivers share: reading the target, loading a package of the client's own folder, telling what came back.
import { createRequire } from 'node:module';
import path from 'node:path';

export const there = JSON.parse(process.argv[2]);
export const load = createRequire(path.join(process.env.CLIENT_FOLDER, 'package.json'));

export async function tell(actions) {
  const told = {};
  for (const [name, action] of Object.entries(actions)) {
    try {
      told[name] = await action();
    } catch (error) {
      console.error(error);
      told[name] = { error: String(error.message || error).slice(0, 300) };
    }
  }
  process.stdout.write(JSON.stringify(told) + '\n', () => process.exit(0));
}
