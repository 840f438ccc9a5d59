import { startMinioContainer, startVersitygwContainer } from '../real/s3-container.ts';
import { serverContract } from '../real/s3-server-contract.ts';

serverContract('MinIO in a container', startMinioContainer);
serverContract('versitygw in a container', startVersitygwContainer);
