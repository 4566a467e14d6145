/** The lab's daemon, a background process that `sluice lab up` starts: lab.js NAME. */
import { createLogger } from '@sluice/runtime';
import { runDaemon } from './daemon/daemon.ts';
import { messageOf } from './error.ts';
import { readPidFile, writePidFile } from './host/process-id.ts';
import { labLayout } from './layout.ts';

const logger = createLogger({ name: 'lab', json: false });
const layout = labLayout(process.argv[2] ?? '');
const other = readPidFile(layout.pidFile);
if (other) {
  logger.error(`the lab's daemon runs already, as process ${other.pid}`);
  process.exit(1);
}
writePidFile(layout.pidFile);

try {
  const stop = await runDaemon(layout, (message) => logger.info(message));
  const end = (signal: string) => {
    logger.info(`${signal}: ending`);
    void stop().then(() => process.exit(0));
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  process.on('unhandledRejection', (error) => logger.error({ err: error }, `not handled: ${messageOf(error)}`));
  logger.info('running');
} catch (error) {
  logger.fatal({ err: error }, messageOf(error));
  process.exit(1);
}
